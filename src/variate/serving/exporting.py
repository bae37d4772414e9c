"""Networks as files that run without Variate, their randomness inside: every call of the graph is a fresh draw.

``torch-export`` keeps the counter: the graph draws a key from torch's generator and makes the noise from it. ``onnx``
has random operations of its own, which the runtime seeds; ``variate.open_exported`` opens both with fresh entropy.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from variate._version import __version__
from variate.errors import ExportError, UsageError, VariateError
from variate.inputs.validation import checked_logits
from variate.optional import imported
from variate.oracle.averaging import FreshAverage
from variate.random import plain
from variate.random.average import AverageNetwork
from variate.random.keys import check_key, sibling
from variate.random.network import RandomNetwork
from variate.random.noise import traced
from variate.random.seeding import kind_of, outputs_under
from variate.serving.onnx_graph import onnx_program
from variate.serving.opening import PROGRAM, open_exported

Format = Literal["onnx", "torch-export"]
ENDINGS: dict[str, str] = {"onnx": ".onnx", "torch-export": PROGRAM}
INSTEAD = "serve the network itself (variate.Served)"
CALLS = 10  # in which a random graph has to differ from the first
RTOL, ATOL = 1e-3, 1e-4  # single precision, sums in another order


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: of the file.
        format: ``onnx`` or ``torch-export``.
        random: whether every call is a fresh draw.
        draws: how many fresh draws one call averages over.
        batch: the only size of batch that the graph takes; None if it takes any.
    """

    path: str
    format: Format
    random: bool
    draws: int
    batch: int | None


def export(
    net: nn.Module,
    path: str | Path,
    example: Tensor,
    *,
    format: Format = "onnx",  # noqa: A002
    draws: int = 1,
    mean: bool = False,
    key: int | None = None,
) -> Exported:
    """Write a network as a graph that runs without Variate, in eval mode, and check what was written.

    Args:
        net: from inputs to logits; a random network, one of another defense, or a deterministic one. It is left as
            it is.
        path: of the file to write, ending in ``.onnx`` or ``.pt2``.
        example: inputs in [0, 1], shape (B, ...); B may be another at every call where the network allows it.
        format: ``onnx``, or ``torch-export`` for ``torch.export.load``.
        draws: fresh draws that every call averages over; more than one returns log probabilities.
        mean: write the mean network instead, every parameter at its mean: deterministic.
        key: write the draw of this key instead: deterministic.

    Returns:
        What was written.

    Raises:
        UsageError: for options that exclude one another, or libraries that are not installed.
        ExportError: for a network that the exporter cannot take, or a graph that does not do what the network does.
    """
    target = Path(path)
    _check(net, target, format, draws, mean, key)
    x = example.detach().cpu()
    x = (
        x if len(x) > 1 else torch.cat([x, x])
    )  # from a batch of one, the exporter would conclude that there is no other
    network = copy.deepcopy(net).cpu().eval()
    if mean or key is not None:
        network = _twin(network, key)
    kind = kind_of(network, x)
    if kind == "unkeyed" or _draws_elsewhere(network, x):
        raise ExportError(
            "the network draws random numbers that are not torch's, and a graph would keep one of them for ever",
            todo="draw them with torch.randn or torch.rand",
        )
    random = kind == "keyed"
    if (mean or key is not None) and random:
        raise ExportError(
            f"{type(net).__name__} is random by its layers, which have neither a mean nor a key inside a graph",
            todo="leave out mean and key: its graph draws afresh at every call",
        )
    if draws > 1 and not random:
        raise UsageError(f"{draws} draws of a deterministic network are {draws} times the same", expected="draws=1")
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = Exported(str(target), format, random, draws, None)
    with _quiet(), torch.no_grad():
        batch = _written(FreshAverage(network, draws) if draws > 1 else network, x, target, facts)
        _verify(network, x, target, facts)
    return Exported(str(target), format, random, draws, batch)


def _check(net: nn.Module, target: Path, format: str, draws: int, mean: bool, key: int | None) -> None:  # noqa: A002
    if format not in ENDINGS:
        raise UsageError(f"there is no format {format!r}", expected=f"one of {', '.join(ENDINGS)}")
    if target.suffix != ENDINGS[format]:
        raise UsageError(f"{target} does not end in {ENDINGS[format]}", expected=f"that ending for {format}")
    if sum((mean, key is not None, draws > 1)) > 1:
        raise UsageError("a graph is of fresh draws, of the mean network or of one key", expected="one of the three")
    if draws < 1:
        raise UsageError(f"draws is {draws}", expected="1 or more")
    if any(isinstance(part, AverageNetwork) for part in net.modules()):
        raise ExportError(
            "an average over fixed keys is not one graph",
            todo="export the random network itself: with draws=S, or the draw of one key",
        )
    if format == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            imported(name, "onnx")


def _draws_elsewhere(network: nn.Module, x: Tensor) -> bool:
    """Whether one key gives two answers."""
    with torch.no_grad():
        one, other = (outputs_under(network, x, [1]) for _ in range(2))
    return not torch.equal(one, other)


def _twin(network: nn.Module, key: int | None) -> nn.Module:
    """Every random network inside at its mean, or in the draw of a key."""
    if isinstance(network, RandomNetwork):
        return plain.mean(network) if key is None else plain.at(network, check_key(key))
    for number, part in enumerate([part for part in network.modules() if isinstance(part, RandomNetwork)]):
        drawn = None if key is None else plain.at(part, sibling(check_key(key), number)).state_dict()
        module = plain.unwrap(part)
        if drawn is not None:
            module.load_state_dict(drawn)
    return network


def _written(network: nn.Module, x: Tensor, target: Path, facts: Exported) -> int | None:
    """Write the graph; returns the only size of batch that it takes, or None."""
    from torch.export import Dim, save

    onnx = facts.format == "onnx"
    try:
        with traced.random_operations() if onnx else nullcontext():
            program = torch.export.export(network, (x,), dynamic_shapes=({0: Dim.AUTO},))
        names = program.graph_signature.user_inputs
        size = next(node.meta["val"].shape[0] for node in program.graph.nodes if node.name in names)
        if onnx:
            written = onnx_program(program)
            written.model.metadata_props.update(_metadata(facts))
            written.save(str(target))
        else:
            save(program, target, extra_files={"variate.json": json.dumps(_metadata(facts))})
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"{type(network).__name__} cannot be exported as {facts.format}: {_first_line(error)}",
            todo=f"try the other format, or {INSTEAD}",
        ) from error
    return size if isinstance(size, int) else None


def _metadata(facts: Exported) -> dict[str, str]:
    kept = {name: value for name, value in asdict(facts).items() if name in ("random", "draws")}
    return {"variate": __version__, **{f"variate.{name}": json.dumps(value) for name, value in kept.items()}}


def _verify(network: nn.Module, x: Tensor, target: Path, facts: Exported) -> None:
    """Whether calls differ where the network is random, and agree with it where it is not; else the file goes."""
    try:
        run: Callable[[Tensor], Tensor] = open_exported(target)
        first = checked_logits(run(x), x)
        if facts.random and all(torch.equal(first, run(x)) for _ in range(CALLS)):
            raise ExportError("the exported graph is deterministic, and the network is not", todo=INSTEAD)
        if not facts.random and not torch.allclose(first, network(x).to(first), rtol=RTOL, atol=ATOL):
            raise ExportError(
                "the exported graph and the network disagree",
                findings=[f"by up to {float((first - network(x)).abs().max()):.3g}"],
                todo=INSTEAD,
            )
    except VariateError:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's progress and advice are not the user's."""
    names = "torch.onnx._internal.exporter._registration", "torch.fx.experimental.symbolic_shapes"
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """What went wrong at the bottom, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
