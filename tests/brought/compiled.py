"""Networks that something else runs: a compiler, a tracer, a wrapper of several devices."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from brought.network import Brought, Written, mlp, rows
from torch import nn

WRAPPER = "is a wrapper around Written: randomize that, then wrap the result"
NO_GRAPH = "cannot be exported as torch-export"
SCRIPT = "TorchScript, whose weights cannot be replaced: randomize it before scripting"


def in_place() -> nn.Module:
    net = Written()
    net.compile(backend="eager")
    return net


def compiled() -> nn.Module:
    return torch.compile(Written(), backend="eager")


def quietly(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Without the advice of torch to use something newer."""

    def made() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()

    return made


def program() -> nn.Module:
    dynamic = ({0: torch.export.Dim.AUTO},)
    return torch.export.export(Written(), (rows(),), dynamic_shapes=dynamic).module()


def quantized() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear})


@contextmanager
def one_process() -> Iterator[None]:
    """A group of one process, as a script has that runs on one device today."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
    try:
        yield
    finally:
        gc.collect()  # what still holds the group would keep its threads
        torch.distributed.destroy_process_group()


def sharded() -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    return fully_shard(Written(), mesh=init_device_mesh("cpu", (1,)))


COMPILED = {
    "compiled in place": Brought(in_place, mlp),
    "torch.compile": Brought(compiled, mlp, finds=(WRAPPER,), refuses={"randomize": WRAPPER}),
    "jit.script": Brought(
        quietly(lambda: torch.jit.script(mlp())),
        mlp,
        finds=(SCRIPT,),
        refuses={"randomize": SCRIPT, "export": NO_GRAPH},
    ),
    "jit.trace": Brought(
        quietly(lambda: torch.jit.trace(Written(), rows())),
        mlp,
        finds=(SCRIPT,),
        refuses={"randomize": SCRIPT, "export": NO_GRAPH},
    ),
    "fx GraphModule": Brought(lambda: torch.fx.symbolic_trace(Written()), mlp),
    "exported program": Brought(program, mlp, refuses={"train": "no train mode"}),
    "dynamic quantization": Brought(
        quietly(quantized),
        mlp,
        attacked=mlp,
        finds=("it has no parameters", "is quantized", "is quantized"),
        refuses={"randomize": "is quantized", "train": "nothing to train", "export": NO_GRAPH},
        warns="other examples in the batch change the logits",
        rounding=0.1,
        attack="square(queries=60)",
        blind="no gradient",
    ),
    "DataParallel": Brought(lambda: nn.DataParallel(Written()), mlp, finds=(WRAPPER,), refuses={"randomize": WRAPPER}),
    "DistributedDataParallel": Brought(
        lambda: nn.parallel.DistributedDataParallel(Written()),
        mlp,
        around=one_process,
        finds=(WRAPPER,),
        refuses={"randomize": WRAPPER},
    ),
    "FSDP2": Brought(
        sharded,
        mlp,
        around=one_process,
        finds=("DTensor, which has no memory of its own",) * 4,
        refuses={"randomize": "DTensor, which has no memory of its own"}
        | dict.fromkeys(("export", "serve"), "FSDP does not support deepcopy"),
    ),
}
