"""Graphs that take their draw as inputs: a drawn tensor for every random parameter, made outside by our sampler.

A runtime's own random operations are many times slower than the network. Here the graph holds no randomness: every
random parameter is an input. The file carries the distribution of each, its mean, scale and other learned tensors, so
that whoever has the file can draw: ``DrawnSession`` with Variate's sampler, a receiver without Variate with NumPy.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import ExportError, UsageError
from variate.random.distribution import LocationScale, Site
from variate.random.draw.tracing import given_draws
from variate.random.handle import handle_of
from variate.random.inside import drawn_in
from variate.random.parameters import qualified

INPUTS = "variate.inputs"  # the metadata that describes them
TYPES = (torch.float32, torch.float64, torch.float16)  # NumPy has no others


@dataclass(frozen=True)
class DrawnInput:
    """One input of a graph: a random parameter, drawn anew for every answer.

    Attributes:
        input: name of the input.
        shape: its shape.
        type: its type, as NumPy names it.
        family: family of the distribution with its options.
        distribution: what that family is, in a sentence.
        noise: the distribution of z (``normal``, ``uniform``, ``laplace``, ``logistic``) where w = mean + scale * z
            with independent z of mean 0 and variance 1; None for families of another form.
        tensors: names of the initializers that hold the mean, the scale and what else is learned.
        network: number of the random network that the parameter belongs to, for modules that contain several.
        uid: number of the parameter in Variate's counter-based noise.
        channel: dimension of the output channels, along which a scale may be shared.
    """

    input: str
    shape: tuple[int, ...]
    type: str
    family: str
    distribution: str
    noise: str | None
    tensors: dict[str, str]
    network: int
    uid: int
    channel: int


class FromInputs(nn.Module):
    """A network whose random parameters are arguments of its forward.

    Args:
        network: a random network, or a module that contains some.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, drawn: Sequence[Tensor]) -> Any:
        """Inputs of shape (B, ...), and one drawn tensor for every random parameter, to logits of shape (B, K)."""
        rest, by_network = list(drawn), {}
        for part in drawn_in(self.network).values():
            count = len(handle_of(part).sites)
            by_network[id(part)], rest = rest[:count], rest[count:]
        with given_draws(by_network):
            return self.network(x)


def drawn_inputs(network: nn.Module) -> tuple[list[DrawnInput], dict[str, Tensor]]:
    """The inputs of the graph of a network, in the order of ``FromInputs``, and the tensors that the file holds.

    Raises:
        UsageError: for a network without random parameters.
        ExportError: for parameters in a type that NumPy lacks.
    """
    inputs: list[DrawnInput] = []
    tensors: dict[str, Tensor] = {}
    for number, (path, part) in enumerate(drawn_in(network).items()):
        for site, values in handle_of(part).scaled(part):
            names = ("mean", "scale", *site.distribution.learned)
            parameter = qualified((path, site.name))
            held = {name: f"{name}.{parameter}" for name in names}
            tensors |= {held[name]: value.detach() for name, value in zip(names, values, strict=True)}
            inputs.append(_described(site, values[0], parameter, held, number))
    if not inputs:
        raise UsageError(
            f"{type(network).__name__} has no random parameters, whose draw could be an input",
            expected="a random network for noise='input'",
            todo="leave the noise in the graph: noise='graph'",
        )
    return inputs, tensors


def with_description(model: Any, inputs: Sequence[DrawnInput], tensors: dict[str, Tensor]) -> None:
    """Put the description of the inputs and their tensors into an ONNX model."""
    import onnx_ir as ir

    model.metadata_props[INPUTS] = json.dumps([asdict(each) for each in inputs])
    for name, tensor in tensors.items():
        value = ir.tensor(tensor.cpu().contiguous().numpy(), name=name)
        model.graph.register_initializer(
            ir.Value(name=name, shape=value.shape, type=ir.TensorType(value.dtype), const_value=value)  # type: ignore[arg-type]
        )


def _described(site: Site, mean: Tensor, parameter: str, held: dict[str, str], network: int) -> DrawnInput:
    if mean.dtype not in TYPES:
        raise ExportError(
            f"{parameter} has the type {mean.dtype}, in which NumPy makes no inputs",
            todo="export net.float(), or leave the noise in the graph: noise='graph'",
        )
    family = site.distribution
    return DrawnInput(
        input=f"drawn.{parameter}",
        shape=tuple(mean.shape),
        type=str(mean.dtype).removeprefix("torch."),
        family=site.family,
        distribution=" ".join(inspect.cleandoc(type(family).__doc__ or "").split("\n\n")[0].split()),
        noise=family.kind if isinstance(family, LocationScale) else None,
        tensors=held,
        network=network,
        uid=site.uid,
        channel=site.channel,
    )
