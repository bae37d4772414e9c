"""A program of ``torch.export`` as an ONNX graph in which everything random stays so.

The exporter takes a coin of constant rate for a constant, and dropout for a thing of training. So masks are made of
uniform numbers first, and the random operations are counted after.
"""

from __future__ import annotations

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


def onnx_program(program: Any) -> Any:
    """What ``torch.onnx`` makes of an exported program of one input, every random operation kept.

    Raises:
        ExportError: where the exporter would make a constant of a random operation.
    """
    aten = torch.ops.aten
    masks = {aten.bernoulli.default: _coin, aten.bernoulli.p: _coin_of_rate, aten.native_dropout.default: _dropout}
    wanted = [node for node in program.graph.nodes if node.users and _draws(node)]
    program = program.run_decompositions(masks)
    written: Any = torch.onnx.export(program, dynamo=True, input_names=["x"], output_names=["logits"], verbose=False)
    proto = written.model_proto
    nodes = [node for part in (proto.graph, *proto.functions) for node in part.node]
    drawn = [node for node in nodes if node.op_type in RANDOM_OPERATIONS]
    if len(drawn) < len(wanted):
        raise ExportError(
            f"{len(wanted)} random operations of the network became {len(drawn)}: the others would be constants",
            findings=[f"the network draws by {', '.join(sorted({str(node.target) for node in wanted}))}"],
            todo="draw by torch.randn or torch.rand, or export with format='torch-export'",
        )
    return written


def _coin(rate: Tensor, *, generator: Any = None) -> Tensor:
    return (torch.rand_like(rate) < rate).to(rate.dtype)


def _coin_of_rate(like: Tensor, rate: float = 0.5, *, generator: Any = None) -> Tensor:
    return (torch.rand_like(like) < rate).to(like.dtype)


def _dropout(x: Tensor, rate: float, train: bool | None) -> tuple[Tensor, Tensor]:
    kept = torch.rand_like(x) >= rate
    return x * kept / (1 - rate), kept


def _draws(node: Any) -> bool:
    """Whether a node of torch's graph draws; what could drop values, recurrence and attention too, may not do so."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    given = dict(node.kwargs)
    for place, argument in enumerate(node.target._schema.arguments):
        given.setdefault(argument.name, node.args[place] if place < len(node.args) else argument.default_value)
    return given.get("train") is not False and given.get("dropout_p") != 0
