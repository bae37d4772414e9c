"""The layer in front of a network that makes the noise of a certificate, and the proof that nothing passes it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from variate.certificates.mechanism import Floats, Mechanism
from variate.certificates.reading import Reading
from variate.errors import UsageError
from variate.inputs.asking import asked
from variate.inputs.validation import checked_logits
from variate.random.distribution import Site
from variate.random.handle import handle_of
from variate.random.input_noise import Mask, Shift
from variate.random.inside import contains_random, drawn_in, networks_in
from variate.random.keys import Stream
from variate.random.seeding import input_type, left_as_found, outputs_under, under
from variate.training.defenses.parts.noise import GaussianNoise

L = TypeVar("L", bound=nn.Module)
FEW = 16  # draws whose outputs are held at a time, where an answer has many parts
EXAMPLE = (
    'randomize(nn.Sequential(variate.Shift(shape), net), {"0.bias": "normal(scale=0.25, learn=no)", "*": "normal"})'
)


@dataclass(frozen=True)
class Front:
    """A layer that gets the input itself, and whose output is all that the rest of the network sees.

    Attributes:
        path: path of the layer in the network.
        layer: the layer.
    """

    path: str
    layer: nn.Module

    def votes(self, network: nn.Module, x: Tensor, keys: Sequence[int], votes_of: int, reading: Reading) -> Tensor:
        """What every vote says, (n // votes_of, B * P), from n keys.

        Args:
            network: the network with the layer.
            x: inputs, shape (B, ...).
            keys: keys of the draws.
            votes_of: draws of the weights whose mean answer casts one vote; all see the output of the layer under the
                first of their keys. The votes stay independent and alike.
            reading: how outputs are read as votes.
        """
        if votes_of == 1:
            size = len(keys) if reading.parts == 1 else FEW
            return torch.cat([reading.each(outputs_under(network, x, part)) for part in _split(keys, size)])
        return torch.stack([reading.together(self._under_one(network, x, part)) for part in _split(keys, votes_of)])

    def _under_one(self, network: nn.Module, x: Tensor, keys: Sequence[int]) -> Tensor:
        """The outputs of several draws behind one output of the layer: (S, B, M)."""
        x = x.to(input_type(network, x))
        held: list[Tensor] = []
        parts = []
        with torch.no_grad(), _output_held(self.layer, held):
            for key in keys:
                with under(network, key):
                    parts.append(checked_logits(network(x.clone()), x))  # (B, M)
        return torch.stack(parts)


@dataclass(frozen=True)
class InputNoise(Front):
    """A layer that adds independent noise to the input.

    Attributes:
        std: standard deviation of every value, of the shape of an input.
        levels: number of levels on which the sum is exact; None: floating point.
    """

    std: Floats
    levels: int | None

    @property
    def exactness(self) -> str:
        """In which arithmetic the proof holds, to follow the description of the noise."""
        if self.levels is not None:
            return f", rounded to {self.levels} levels: exact for inputs on them"
        return ", in exact arithmetic: floating-point rounding is not accounted for"


class OnInput(Mechanism):
    """A mechanism whose randomness is in a layer on the input.

    Attributes:
        front: the layer.
    """

    front: Front

    def votes(self, network: nn.Module, x: Tensor, keys: Sequence[int], votes_of: int, reading: Reading) -> Tensor:
        """Of single draws, or of the mean answer of ``votes_of`` draws of the weights under one noise on the input."""
        return self.front.votes(network, x, keys, votes_of, reading)


def input_noise(network: nn.Module, x: Tensor, family: str) -> InputNoise | None:
    """The layer that adds noise of a family to the input; None if there is none.

    Raises:
        UsageError: if it exists and nothing can be proved with it.
    """
    plain, found = _layers(network, GaussianNoise), _layers(network, Shift)
    if family == "normal" and plain and not found:
        path, layer = _only(plain)
        check_passage(network, path, layer, x)
        return InputNoise(path, layer, np.full(tuple(x.shape[1:]), layer.std), None)
    if not found:
        return None
    path, shift = _only(found)
    site, std = _site(network, path, "bias")
    name = site.family.partition("(")[0]
    if name != family:
        if name in ("normal", "uniform"):  # for the other mechanism
            return None
        raise UsageError(
            f"nothing is proved by {site.family} noise in {path}", expected="normal(scale=..., learn=no), or uniform"
        )
    check_passage(network, path, shift, x)
    values = std.expand_as(shift.bias).detach().cpu().double().numpy()
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise UsageError(f"the noise of {path}.bias has a standard deviation of 0", expected="more than 0")
    return InputNoise(path, shift, values, shift.levels)


def mask(network: nn.Module, x: Tensor) -> tuple[Front, Mask] | None:
    """The layer that masks the input; None if there is none.

    Raises:
        UsageError: if it exists and nothing can be proved with it.
    """
    found = _layers(network, Mask)
    if not found:
        return None
    path, layer = _only(found)
    site, std = _site(network, path, "order")
    family = site.distribution
    alike = family.form == "independent" and not family.relative and not family.learned
    if not alike or float(std.min()) != float(std.max()) or float(layer.order.min()) != float(layer.order.max()):
        raise UsageError(
            f"the order of {path} does not show every subset of positions equally often: {site.family}",
            expected="independent noise, the same for all positions, such as normal(scale=1, learn=no)",
        )
    if not float(std.min()) > 0:
        raise UsageError(f"the order of {path} is not random", expected="normal(scale=1, learn=no)")
    check_passage(network, path, layer, x)
    return Front(path, layer), layer


def check_passage(network: nn.Module, path: str, layer: nn.Module, x: Tensor) -> None:
    """Check by passes that the layer gets the input itself, and that the rest of the network sees nothing else.

    Raises:
        UsageError: otherwise.
    """
    x = x[:2].to(input_type(network, x))
    other = 1 - x if len(x) < 2 else x.flip(0)
    key, taken = Stream("probe", 2).next(), []
    handle = layer.register_forward_pre_hook(lambda _, arguments: taken.append(arguments[0].clone()))
    try:
        with torch.no_grad(), left_as_found(network):
            with under(network, key):
                asked(network, x)
            if len(taken) != 1:
                raise UsageError(f"{path} runs {len(taken)} times in a forward pass", expected="once, on the input")
            if not torch.equal(taken[0], x):
                raise UsageError(
                    f"{path} does not get the input itself, so its noise proves nothing about it",
                    todo="make it the first layer; what is in front of it, such as a normalization, belongs behind",
                )
            held: list[Tensor] = []
            with _output_held(layer, held):
                with under(network, key):
                    first = asked(network, x)
                with under(network, key):
                    second = asked(network, other)
    finally:
        handle.remove()
    if not torch.equal(first, second):
        raise UsageError(
            f"the network sees the input past {path}, so its noise proves nothing",
            expected=f"a network that sees only the output of {path}",
            todo="have it use the batch norm of eval mode, and read the input nowhere else",
        )


@contextmanager
def _output_held(layer: nn.Module, held: list[Tensor]) -> Iterator[None]:
    """Context in which a layer keeps returning its first output, which is in ``held``."""

    def keep(_: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        if not held:
            held.append(output)
        return held[0]

    handle = layer.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()


def _split(keys: Sequence[int], size: int) -> list[Sequence[int]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _layers(network: nn.Module, kind: type[L]) -> list[tuple[str, L]]:
    return [(path, part) for path, part in network.named_modules() if isinstance(part, kind)]


def _only(found: Sequence[tuple[str, L]]) -> tuple[str, L]:
    if len(found) > 1:
        paths = ", ".join(path for path, _ in found)
        raise UsageError(
            f"there are {len(found)} layers of kind {type(found[0][1]).__name__}: {paths}",
            expected="one, in front of everything",
        )
    return found[0]


def _site(network: nn.Module, path: str, attribute: str) -> tuple[Site, Tensor]:
    """The random parameter of a layer, and its standard deviation. Raises ``UsageError`` if it is not drawn anew."""
    name = f"{path}.{attribute}" if path else attribute
    drawn = drawn_in(network)
    inside = networks_in(network) if contains_random(network) else {}
    for place, part in inside.items():
        handle, prefix = handle_of(part), f"{place}." if place else ""
        for site, (mean, scale, *learned) in handle.scaled(part):
            if any(f"{prefix}{owner}.{own}".lstrip(".") == name for owner, own in site.owners):
                if place not in drawn or handle.held().key is not None or handle.holds_draw():
                    raise UsageError(
                        "the draws of this network are fixed: a known draw has no certificate",
                        todo="certify the network that draws anew at each call, not an average, net.at(key) or fixed()",
                    )
                return site, site.distribution.std(mean, scale, *learned)
    raise UsageError(f"{name} is not random, so it proves nothing", todo=EXAMPLE)
