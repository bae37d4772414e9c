"""Networks as files that run without Variate, with their randomness: every call of the graph makes a fresh draw.

``torch-export`` keeps the counter-based noise: the graph draws a key from torch's generator and makes the noise from
it. ``onnx`` uses random operations that the runtime seeds, or takes its draw as inputs, which is several times faster.
``variate.open_exported`` opens all of them with fresh entropy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from variate._version import __version__
from variate.errors import ExportError, UsageError, VariateError
from variate.inputs.validation import check_module, check_several, checked_logits, checked_output
from variate.optional import imported
from variate.oracle.averaging import FreshAverage
from variate.random import plain
from variate.random.average import AverageNetwork
from variate.random.copies import copied
from variate.random.inside import seen_through
from variate.random.keys import Stream, check_key, sibling
from variate.random.network import RandomNetwork
from variate.random.noise import traced
from variate.random.seeding import draws_elsewhere, input_type, kind_of, under
from variate.serving.drawn_session import DrawnSession
from variate.serving.fixed_noise import warn_of_fixed_noise
from variate.serving.noise_input import FromInputs, drawn_inputs, with_description
from variate.serving.onnx_graph import onnx_program
from variate.serving.opening import PROGRAM, open_exported
from variate.serving.quiet import quiet

Format = Literal["onnx", "torch-export"]
Noise = Literal["graph", "input"]
ENDINGS: dict[str, str] = {"onnx": ".onnx", "torch-export": PROGRAM}
INSTEAD = "serve the network itself (variate.Served)"
PROBE = Stream("probe", 0).next()  # the key whose draw is compared
CALLS = 10  # calls of a random graph, of which one must differ from the first
RTOL, ATOL = 1e-3, 1e-4  # single precision with reordered sums


@dataclass(frozen=True)
class Exported:
    """The result of ``export``.

    Attributes:
        path: path of the file.
        format: ``onnx`` or ``torch-export``.
        random: whether every call makes a fresh draw.
        draws: number of fresh draws that one call averages over.
        noise: who makes the noise: the ``graph``, or the caller, whose drawn parameters are an ``input``.
        batch: the only batch size that the graph takes; None if it takes any.
    """

    path: str
    format: Format
    random: bool
    draws: int
    noise: Noise
    batch: int | None


def export(
    net: nn.Module,
    path: str | Path,
    example: Tensor,
    *,
    format: Format = "onnx",  # noqa: A002
    draws: int = 1,
    noise: Noise = "graph",
    mean: bool = False,
    key: int | None = None,
) -> Exported:
    """Write a network in eval mode as a graph that runs without Variate, and verify the file.

    Noise on the input (``Shift``, ``Mask``) stays random in the graph and fresh at every call. With ``mean`` or ``key``
    it is fixed, which voids every certificate of the network and raises a ``CertificateWarning``.

    Args:
        net: a module from inputs to logits: a random network, one with another defense, or a deterministic one. It is
            not modified.
        path: path of the file to write, ending in ``.onnx`` or ``.pt2``.
        example: inputs in [0, 1], shape (B, ...); the graph takes any batch size if the network allows it.
        format: ``onnx``, or ``torch-export`` for ``torch.export.load``.
        draws: number of fresh draws that every call averages over; more than one returns log probabilities.
        noise: ``graph``: the graph makes its own noise; ``input``: it takes a drawn tensor for every random parameter,
            and the file carries their distributions. For ONNX; ``variate.open_exported`` draws them, much faster than
            the runtime makes noise, and with the same draw for a key as in PyTorch.
        mean: export the mean network instead, with every parameter at its mean: deterministic.
        key: export the draw of this key instead: deterministic.

    Returns:
        What was exported.

    Raises:
        UsageError: for options that exclude one another, or libraries that are not installed.
        ExportError: if the exporter cannot take the network, or the graph does not behave as the network does.
    """
    target = Path(path)
    check_module(net)
    _check(net, target, format, draws, noise, mean, key)
    x = example.detach().cpu()
    x = x if len(x) > 1 else torch.cat([x, x])  # from a batch of one, the exporter would infer a fixed size
    network = _copied(net).cpu().eval()
    own = input_type(network, x)
    if own != x.dtype:
        raise ExportError(
            f"the network takes inputs in {own}, and its graph would take {x.dtype}, as the example is",
            todo=f"pass example.to({own}), or export net.to({x.dtype})",
        )
    if mean or key is not None:
        network = _deterministic(network, key)
    warn_of_fixed_noise(network, levels=2)
    kind = kind_of(network, x)
    if kind == "unkeyed" or draws_elsewhere(network, x):
        raise ExportError(
            "the network draws random numbers outside torch, and a graph would contain one of them as a constant",
            todo="draw them with torch.randn or torch.rand",
        )
    random = kind == "keyed"
    if (mean or key is not None) and random:
        raise ExportError(
            f"{type(net).__name__} has random layers, which have neither a mean nor a key inside a graph",
            todo="leave out mean and key: its graph makes a fresh draw at every call",
        )
    if draws > 1 and not random:
        raise UsageError(f"{draws} draws of a deterministic network are all the same", expected="draws=1")
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = Exported(str(target), format, random, draws, noise, None)
    with quiet(), torch.no_grad():
        network = _exportable(network, x)
        repeated = draws > 1 and noise == "graph"
        batch = _write(FreshAverage(network, draws) if repeated else network, x, target, facts)
        _verify(network, x, target, facts)
    return replace(facts, batch=batch)


def _copied(net: nn.Module) -> nn.Module:
    """A copy of the module that a wrapper runs, or of the network itself."""
    try:
        return copied(seen_through(net))
    except UsageError as error:
        raise ExportError(error.problem, findings=error.findings, todo=error.todo) from error


def _check(
    net: nn.Module,
    target: Path,
    format: str,  # noqa: A002
    draws: int,
    noise: str,
    mean: bool,
    key: int | None,
) -> None:
    if format not in ENDINGS:
        raise UsageError(f"there is no format {format!r}", expected=f"one of {', '.join(ENDINGS)}")
    if target.suffix != ENDINGS[format]:
        raise UsageError(f"{target} does not end in {ENDINGS[format]}", expected=f"that ending for {format}")
    if sum((mean, key is not None, draws > 1)) > 1:
        raise UsageError("draws, mean and key exclude one another", expected="only one of the three")
    if noise not in get_args(Noise):
        raise UsageError(f"noise is {noise!r}", expected=" or ".join(get_args(Noise)))
    if noise == "input" and (format != "onnx" or mean or key is not None):
        unused = "format torch-export makes its noise quickly" if format != "onnx" else "mean and key leave no noise"
        raise UsageError(f"noise='input' is for random ONNX graphs, and {unused}", todo="leave out noise")
    if draws < 1:
        raise UsageError(f"draws is {draws}", expected="1 or more")
    if any(isinstance(part, AverageNetwork) for part in net.modules()):
        raise ExportError(
            "an average over fixed keys cannot be exported as one graph",
            todo="export the random network itself, with draws=S or the key of one draw",
        )
    if format == "onnx":
        for name in ("onnx", "onnxscript", "onnxruntime"):
            imported(name, "onnx")


def _deterministic(network: nn.Module, key: int | None) -> nn.Module:
    """The network with every random network inside it at its mean, or at the draw of a key."""
    if isinstance(network, RandomNetwork):
        return plain.mean(network) if key is None else plain.at(network, check_key(key))
    for index, part in enumerate([part for part in network.modules() if isinstance(part, RandomNetwork)]):
        drawn = None if key is None else plain.at(part, sibling(check_key(key), index)).state_dict()
        module = plain.unwrap(part)
        if drawn is not None:
            module.load_state_dict(drawn)
    return network


def _write(network: nn.Module, x: Tensor, target: Path, facts: Exported) -> int | None:
    """Write the graph; returns the only batch size that it takes, or None."""
    from torch.export import Dim, save

    onnx, taken = facts.format == "onnx", facts.noise == "input"
    inputs, tensors = drawn_inputs(network) if taken else ([], {})
    drawn = [tensors[each.tensors["mean"]].clone() for each in inputs]
    graph, arguments, shapes = (
        (FromInputs(network), (x, drawn), ({0: Dim.AUTO}, [None] * len(drawn)))
        if taken
        else (network, (x,), ({0: Dim.AUTO},))
    )
    try:
        with traced.random_operations() if onnx else nullcontext():
            program = torch.export.export(graph, arguments, dynamic_shapes=shapes)
        names = program.graph_signature.user_inputs
        size = next(node.meta["val"].shape[0] for node in program.graph.nodes if node.name in names)
        if onnx:
            exported = onnx_program(program, [each.input for each in inputs] if taken else None)
            exported.model.metadata_props.update(_metadata(facts))
            if taken:
                with_description(exported.model, inputs, tensors)
            exported.save(str(target))
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


def _exportable(network: nn.Module, x: Tensor) -> nn.Module:
    """The network, inside another module where its own graph would be another one.

    torch.export runs the graph of an fx module without its forward, which draws; its programs take no parts with names
    that fx modules have already; and a graph returns what the network returns, and changes what the network changes.
    """
    given = x.clone()
    plain = isinstance(network(given), Tensor) and torch.equal(given, x)
    taken = any(
        hasattr(torch.fx.GraphModule, name)
        for name, _ in (*network.named_children(), *network.named_buffers(recurse=False))
    )
    return network if plain and not taken and not isinstance(network, torch.fx.GraphModule) else _Called(network)


class _Called(nn.Module):
    """A network as a part of another, from inputs that stay as they are to logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        return checked_output(self.network(x.clone()), x)


def _metadata(facts: Exported) -> dict[str, str]:
    values = {name: value for name, value in asdict(facts).items() if name in ("random", "draws", "noise")}
    return {"variate": __version__, **{f"variate.{name}": json.dumps(value) for name, value in values.items()}}


def _verify(network: nn.Module, x: Tensor, target: Path, facts: Exported) -> None:
    """Check that calls of a random graph differ, and that the draw of one key agrees; otherwise delete the file."""
    try:
        run: Callable[[Tensor], Tensor] = open_exported(target)
        first = checked_logits(run(x), x)
        check_several(first.shape[1])
        if facts.random and all(torch.equal(first, run(x)) for _ in range(CALLS)):
            raise ExportError("the exported graph is deterministic, but the network is not", todo=INSTEAD)
        if isinstance(run, DrawnSession):
            first = run.at(PROBE, x)
        elif facts.random:
            return
        with under(network, PROBE):
            expected = network(x).to(first)
        if not torch.allclose(first, expected, rtol=RTOL, atol=ATOL):
            raise ExportError(
                "the exported graph and the network disagree",
                findings=[f"by up to {float((first - expected).abs().max()):.3g}"],
                todo=INSTEAD,
            )
    except VariateError:
        target.unlink(missing_ok=True)
        raise


def _first_line(error: BaseException) -> str:
    """The first line of the root cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
