"""Every kind of module under every operation."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from catalogue import LOOSE, MODULES, OPERATIONS, gradients, loss, made, page

PAIRS = [(module, operation) for module in MODULES for operation in OPERATIONS]
SLOW = {"torch.export", "torch.compile"}


def importable(package):
    """Whether a package is there and imports; timm is often there without a torchvision that works."""
    if not package:
        return True
    if find_spec(package) is None:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            __import__(package)
    except (ImportError, RuntimeError):
        return False
    return True


@pytest.fixture(autouse=True)
def quiet():
    """Other packages' advice is not ours to heed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(("module", "operation"), PAIRS)
def test_it_works(module, operation):
    entry = MODULES[module]
    if not importable(entry.needs):
        pytest.skip(f"{entry.needs} does not import here")
    words = entry.forbids.get(operation)
    if words is None:
        OPERATIONS[operation](module)
        return
    with pytest.raises(Exception, match=words):
        OPERATIONS[operation](module)


def test_the_page_is_that_of_the_tables():
    path = Path(__file__).parents[2] / "docs" / "what-can-be-random.md"
    assert path.read_text() == page() + "\n", "run: python tests/catalogue.py > docs/what-can-be-random.md"


def parallel(rank, port, names, queue):
    """One of two processes: gradients of half a batch, averaged by DDP."""
    import gc
    import os

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    found = {}
    for name in names:
        _, net, x = made(name, torch.float64)
        wrapped = torch.nn.parallel.DistributedDataParallel(net.eval(), find_unused_parameters=True)
        with net.fixed(3):
            output = wrapped(x[rank::2][: len(x) // 2])
        found[name] = gradients(net, loss(output))
    if rank == 0:
        queue.put(
            {name: {n: None if g is None else g.numpy() for n, g in grads.items()} for name, grads in found.items()}
        )
    torch.distributed.barrier()
    del wrapped, output
    gc.collect()  # what still holds the group would keep its threads until the interpreter ends, and abort it there
    torch.distributed.destroy_process_group()


def test_two_processes_average_their_gradients():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = [n for n, m in MODULES.items() if not m.needs and n not in ("RNN", "LSTM", "GRU")]  # batch first
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    workers = [context.Process(target=parallel, args=(rank, port, names, queue)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    found = queue.get(timeout=120)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for name in names:
        _, net, x = made(name, torch.float64)
        parts = []
        for rank in (0, 1):
            with net.eval().fixed(3):
                parts.append(gradients(net, loss(net(x[rank::2][: len(x) // 2]))))
        for parameter, gradient in found[name].items():
            one, other = (part[parameter] for part in parts)
            assert (gradient is None) == (one is None)
            assert gradient is None or torch.allclose(torch.as_tensor(gradient), (one + other) / 2, **LOOSE), name
