"""What a network answers to a few inputs: a hash of it, and whether the rest of the batch changes it."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from variate.errors import InputError
from variate.inputs.asking import asked
from variate.random.keys import Stream
from variate.random.seeding import Kind, input_type, left_as_found, under

PROBES = 3  # examples, spread over all of them
DIRECTIONS = 4  # numbers in which the logits of one answer are summed up
GRID = 0.01  # of the largest logit: far above rounding, which depends on threads and kernels
SAME, ALIKE = (
    3e-4,
    0.02,
)  # of the largest logit: what rounding changes by the same kernels, and by those of another shape
COARSE = 25.0  # times that in half precision


def answers_of(network: nn.Module, x: Tensor, kind: Kind) -> str | None:
    """A hash of the answers to the first two inputs under a fixed key, in the network's present mode.

    It differs where code differs that no tensor and no setting shows: a function, a hook, a constant. Answers are
    compared on a grid of one percent of the largest logit (a quarter in half precision), so that the hash is the same
    in every process, for any number of threads. Where a network draws what no key repeats, the source code of its
    classes takes their place.

    Args:
        network: any module.
        x: inputs, shape (B, ...).
        kind: kind of randomness.

    Returns:
        16 hexadecimal digits; None for a network whose answers do not repeat and whose source code cannot be read.
    """
    x = x[:2].to(device_of(network, x))
    logits = None if kind == "unkeyed" else _repeated(network, x)
    if logits is None:
        return _source_of(network)
    grid = GRID * (COARSE if _in_halves(network, x) else 1)
    finite = logits.where(logits.isfinite(), 0.0).double().cpu()  # (2, K)
    size = float(finite.abs().max()) or 1.0
    wave = torch.outer(torch.arange(1, DIRECTIONS + 1), torch.arange(1, finite.shape[1] + 1)).double().sin()  # (D, K)
    sums = (finite @ wave.T / (size * grid)).round().long()  # (2, D)
    return _hash([list(logits.shape), round(math.log(size) / grid), sums.tolist(), logits.isfinite().sum(1).tolist()])


def coupling_of(network: nn.Module, x: Tensor, kind: Kind, *, generator: bool) -> str | None:
    """Whether the answer to an example depends on the rest of its batch, in one sentence; None if it does not.

    Every probe is asked among others, and in a batch of copies of itself: of one shape, so under the same noise and by
    the same kernels. A network that draws no noise from a generator is also asked about each probe alone.

    Args:
        network: any module, in the mode it will be used in.
        x: inputs, shape (B, ...).
        kind: kind of randomness.
        generator: whether it draws from torch's global generator, so that the size of a batch changes its noise.
    """
    shown = normalizing_by_batch(network)
    probes = x[torch.linspace(0, len(x) - 1, min(PROBES, len(x)), device=x.device).round().long()]
    probes = probes.to(device_of(network, x))
    together = None if kind == "unkeyed" or len(probes) < 2 else _repeated(network, probes)  # (P, K)
    if together is None:
        return shown
    because = f"; {shown}" if shown else ""
    try:
        copies = [_under_one_key(network, probe.expand_as(probes))[i] for i, probe in enumerate(probes)]
        alone = [] if generator else [_under_one_key(network, probe[None])[0] for probe in probes]
    except InputError as error:
        return f"it answers {len(probes)} examples together, and not one alone: {error.problem}{because}"
    slack = COARSE if _in_halves(network, probes) else 1
    changed = {i for i, copy in enumerate(copies) if _distance(copy, together[i]) > slack * SAME}
    changed |= {i for i, answer in enumerate(alone) if _distance(answer, together[i]) > slack * ALIKE}
    if not changed:
        return None
    labels = sum(int(copy.argmax()) != int(row.argmax()) for copy, row in zip(copies, together, strict=True))
    also = f", and the predicted label at {labels}" if labels else ""
    return f"other examples in the batch change the logits at {len(changed)} of {len(probes)} examples{also}{because}"


def device_of(network: nn.Module, x: Tensor) -> torch.device:
    """Device of the network, to which inputs are moved batch by batch."""
    return next((tensor.device for tensor in chain(network.parameters(), network.buffers())), x.device)


def normalizing_by_batch(network: nn.Module) -> str | None:
    """Which modules normalize by statistics of the batch, and what to do; None if none does."""
    norms = [(path, part) for path, part in network.named_modules() if isinstance(part, _BatchNorm)]
    without = [path for path, norm in norms if norm.running_mean is None]
    training = [path for path, norm in norms if norm.running_mean is not None and norm.training]
    if training:
        return f"batch norm {_listed(training)} is in train mode: call eval() first"
    return f"batch norm {_listed(without)} has no running statistics" if without else None


def check_mode(network: nn.Module) -> None:
    """Raise ``InputError`` for batch norm that has learned running statistics and is still in train mode.

    Its answers are not those of the network that training has selected. Noise that belongs to train mode stays on if
    only its modules are in train mode.
    """
    norms = [(path, part) for path, part in network.named_modules() if isinstance(part, _BatchNorm)]
    left = [path for path, norm in norms if norm.training and norm.track_running_stats and _has_learned(norm)]
    if left:
        raise InputError(
            f"batch norm {_listed(left)} is in train mode, although it has learned running statistics: answers would "
            "depend on the batch",
            todo="call network.eval() first (--mode eval), and train() on its noise modules alone; or set "
            "track_running_stats = False on them if the network is used with the statistics of the batch",
        )


def _has_learned(norm: _BatchNorm) -> bool:
    batches = norm.num_batches_tracked
    return norm.running_mean is not None and batches is not None and int(batches) > 0


def _repeated(network: nn.Module, x: Tensor) -> Tensor | None:
    """The logits under a fixed key; None if a second pass gives others."""
    with _precise_products(x):
        first, second = (_under_one_key(network, x) for _ in range(2))
    return first if all(_distance(*pair) <= SAME for pair in zip(first, second, strict=True)) else None


def _under_one_key(network: nn.Module, x: Tensor) -> Tensor:
    """The checked logits under a fixed key; the network is left as found."""
    with torch.no_grad(), left_as_found(network), under(network, Stream("probe", 1).next()):
        return asked(network, x.to(input_type(network, x)))


@contextmanager
def _precise_products(x: Tensor) -> Iterator[None]:
    """Context in which a GPU multiplies in full single precision: its short form rounds to a thousandth."""
    if not x.is_cuda:
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _in_halves(network: nn.Module, x: Tensor) -> bool:
    """Whether a network computes in half precision."""
    types = {tensor.dtype for tensor in chain(network.parameters(), network.buffers(), [x])}
    return bool(types & {torch.float16, torch.bfloat16}) or torch.is_autocast_enabled(x.device.type)


def _distance(one: Tensor, other: Tensor) -> float:
    """The largest difference of two answers, (K,), as a share of their largest logit."""
    finite = one.isfinite()
    if not torch.equal(finite, other.isfinite()):
        return math.inf
    one, other = one[finite], other[finite]
    size = max((float(answer.abs().max()) for answer in (one, other) if answer.numel()), default=0.0)
    return float((one - other).abs().max()) / size if size else 0.0


def _source_of(network: nn.Module) -> str | None:
    """A hash of the source code of a network's classes, without those of torch; None if it cannot be read."""
    classes = {type(part) for part in network.modules() if not type(part).__module__.startswith("torch.")}
    try:
        return _hash(sorted(inspect.getsource(kind) for kind in classes))
    except (OSError, TypeError):
        return None


def _hash(content: object) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()


def _listed(paths: Sequence[str]) -> str:
    words = [repr(path) if path else "itself" for path in paths[:3]]
    return ", ".join(words) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
