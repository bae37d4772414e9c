"""What would become random in a module, what would not and why, and what one draw would cost: everything at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from variate.errors import RandomizeError, UsageError
from variate.random.handle import handle_of
from variate.random.measures import deterministic_parameters
from variate.random.network import RandomNetwork
from variate.random.noise import native
from variate.random.parameters import parameter_places, qualified
from variate.random.randomize import randomize
from variate.random.scale import Share

ROUNDS = 9  # draws that are timed, after two that warm up


@dataclass(frozen=True)
class Parameter:
    """One parameter: its names (more than one if it is tied), shape, family, and how many scales it learns."""

    names: list[str]
    shape: list[int]
    family: str
    learned: int


@dataclass(frozen=True)
class Cost:
    """What one draw costs on this machine: milliseconds (the median of a few), bytes, and who makes it."""

    milliseconds: float
    bytes: int
    sampler: str


@dataclass(frozen=True)
class Check:
    """What ``check`` found.

    Attributes:
        module: the class.
        random: the parameters that would be random.
        deterministic: names of the parameters that would not, with the reason.
        buffers: names of the tensors that are no parameters; they are kept as they are.
        findings: what forbids it; empty if nothing does.
        cost: of one draw; None where findings forbid it.
    """

    module: str
    random: list[Parameter] = field(default_factory=list)
    deterministic: dict[str, str] = field(default_factory=dict)
    buffers: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    cost: Cost | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)


def check(
    module: nn.Module,
    family: str | Mapping[str, str] = "normal",
    *,
    share: Share = "element",
    floor: float = 0.0,
    snr: float = 0.0,
) -> Check:
    """What ``randomize`` with the same arguments would do to a module, which is left as it is.

    Args:
        module: any module.
        family: see ``variate.randomize``.
        share: likewise.
        floor: likewise.
        snr: likewise.

    Returns:
        What was found; ``findings`` is empty if the module can be random.

    Example:
        >>> check(nn.Linear(4, 2)).random[0].names
        ['weight']
    """
    name = type(module).__name__
    buffers = [buffer for buffer, _ in module.named_buffers()]
    try:
        net = randomize(module, family, share=share, floor=floor, snr=snr)
    except RandomizeError as error:
        return Check(name, buffers=buffers, findings=list(error.findings))
    except UsageError as error:
        if not error.findings:
            raise
        return Check(name, buffers=buffers, findings=list(error.findings))
    fixed = dict.fromkeys(deterministic_parameters(net), "its family is fixed, as was asked")
    return Check(name, _parameters(net), fixed, buffers, [], _cost(net))


def _parameters(net: RandomNetwork) -> list[Parameter]:
    shapes = {qualified(owners[0]): list(parameter.shape) for parameter, owners in parameter_places(net)}
    handle = handle_of(net)
    groups = handle.places_in(net).groups()
    return [
        Parameter(
            [qualified(owner) for owner in site.owners],
            shapes[site.name],
            site.family,
            sum(tensor.numel() for tensor in group[1:]),
        )
        for site, group in zip(handle.sites, groups, strict=True)
    ]


def _cost(net: RandomNetwork) -> Cost:
    handle, times = handle_of(net), []
    with torch.no_grad():
        for key in range(ROUNDS + 2):
            start = time.perf_counter()
            drawn = handle.draw(net, key)
            times.append(time.perf_counter() - start)
    held = sum(tensor.numel() * tensor.element_size() for tensor in drawn)
    sampler = native.describe() if drawn[0].is_cpu else f"plain torch on {drawn[0].device}"
    return Cost(round(1e3 * sorted(times[2:])[ROUNDS // 2], 3), held, sampler)
