"""A program of ``torch.export`` as an ONNX graph that keeps every random operation.

The exporter folds a Bernoulli draw with a constant rate into a constant, and drops dropout as training-only. So masks
are first rewritten with uniform numbers, and the random operations are counted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from variate.errors import ExportError

RANDOM_OPERATIONS = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


def onnx_program(program: Any, drawn: Sequence[str] | None = None) -> Any:
    """The ONNX program of an exported program, with every random operation kept.

    Args:
        program: the exported program.
        drawn: names of its inputs after the first, where these are its whole randomness.

    Raises:
        ExportError: if the exporter turns a random operation into a constant, or one remains beside drawn inputs.
    """
    aten = torch.ops.aten
    masks = {aten.bernoulli.default: _coin, aten.bernoulli.p: _coin_of_rate, aten.native_dropout.default: _dropout}
    random = [node for node in program.graph.nodes if node.users and _draws(node)]
    if random and drawn is not None:
        raise ExportError(
            f"{len(random)} random operations of the network belong to no random parameter, and have no input",
            findings=[f"the network draws with {', '.join(sorted({str(node.target) for node in random}))}"],
            todo="leave the noise in the graph: noise='graph'",
        )
    program = program.run_decompositions(masks)
    names = ["x", *(drawn or ())]
    converted: Any = torch.onnx.export(program, dynamo=True, input_names=names, output_names=["logits"], verbose=False)
    proto = converted.model_proto
    nodes = [node for part in (proto.graph, *proto.functions) for node in part.node]
    drawn = [node for node in nodes if node.op_type in RANDOM_OPERATIONS]
    if len(drawn) < len(random):
        raise ExportError(
            f"of {len(random)} random operations in the network, {len(drawn)} remain: the others would be constants",
            findings=[f"the network draws with {', '.join(sorted({str(node.target) for node in random}))}"],
            todo="draw with torch.randn or torch.rand, or export with format='torch-export'",
        )
    return converted


def _coin(rate: Tensor, *, generator: Any = None) -> Tensor:
    return (torch.rand_like(rate) < rate).to(rate.dtype)


def _coin_of_rate(like: Tensor, rate: float = 0.5, *, generator: Any = None) -> Tensor:
    return (torch.rand_like(like) < rate).to(like.dtype)


def _dropout(x: Tensor, rate: float, train: bool | None) -> tuple[Tensor, Tensor]:
    kept = torch.rand_like(x) >= rate
    return x * kept / (1 - rate), kept


def _draws(node: Any) -> bool:
    """Whether a node draws random numbers: dropout, recurrence and attention may not, depending on their arguments."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    arguments = dict(node.kwargs)
    for i, argument in enumerate(node.target._schema.arguments):
        arguments.setdefault(argument.name, node.args[i] if i < len(node.args) else argument.default_value)
    return arguments.get("train") is not False and arguments.get("dropout_p") != 0
