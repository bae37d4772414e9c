"""A dry run of ``randomize``: what would become random in a module, what would not and why, and the cost of a draw."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from variate.errors import RandomizeError, UsageError, VariateError
from variate.random.copies import copied
from variate.random.handle import handle_of
from variate.random.measured import measured
from variate.random.measures import deterministic_parameters
from variate.random.network import RandomNetwork
from variate.random.noise import native
from variate.random.packing import stored_bytes
from variate.random.parameters import parameter_places, qualified
from variate.random.randomize import randomize
from variate.random.scale import Share

ROUNDS = 9  # timed draws, after two to warm up


@dataclass(frozen=True)
class Parameter:
    """One parameter: its names (more than one if it is tied), shape, family, and how many scales it learns."""

    names: list[str]
    shape: list[int]
    family: str
    learned: int


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        milliseconds: median time of a few draws on this machine.
        bytes: bytes of one draw.
        sampler: the active sampler.
        stored: bytes of the network's tensors in a file: means, scales and buffers.
    """

    milliseconds: float
    bytes: int
    sampler: str
    stored: int


@dataclass(frozen=True)
class Check:
    """The result of ``check``.

    Attributes:
        module: class name of the module.
        random: the parameters that would be random.
        deterministic: names of the parameters that would stay deterministic, with the reason.
        buffers: names of the buffers, which stay as they are.
        findings: problems that prevent the module from being randomized or were measured; empty if there are none.
        cost: cost of one draw; None if the module cannot be randomized.
    """

    module: str
    random: list[Parameter] = field(default_factory=list)
    deterministic: dict[str, str] = field(default_factory=dict)
    buffers: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    cost: Cost | None = None

    def as_json(self) -> dict[str, Any]:
        """Every field as plain values."""
        return asdict(self)


def check(
    module: nn.Module,
    x: Any = None,
    *,
    family: str | Mapping[str, str] = "normal",
    share: Share = "element",
    floor: float = 0.0,
    snr: float = 0.0,
) -> Check:
    """What ``randomize`` with the same arguments would do to a module, which is not modified.

    With inputs, it is done to a copy and measured: findings then also name every parameter whose draw does not change
    the outputs, random numbers that do not come from the draw, and answers that depend on the rest of the batch.

    Args:
        module: any module, or a random network.
        x: a few real inputs: a tensor of shape (B, ...), a tuple of positional arguments or a dictionary of keyword
            arguments; None: only look at the structure.
        family: see ``variate.randomize``.
        share: see ``variate.randomize``.
        floor: see ``variate.randomize``.
        snr: see ``variate.randomize``.

    Returns:
        The report; its ``findings`` are empty if the module can be randomized and nothing else was found.

    Example:
        >>> check(nn.Linear(4, 2)).random[0].names
        ['weight']
    """
    if isinstance(x, str) or (isinstance(x, Mapping) and x and all(isinstance(value, str) for value in x.values())):
        raise UsageError(f"{x!r} is not an input of the network", todo="pass the families as family=")
    name = type(module).__name__
    buffers = [buffer for buffer, _ in module.named_buffers()]
    try:
        net = copied(module) if x is not None and isinstance(module, RandomNetwork) else None
        net = net or randomize(module, family, share=share, floor=floor, snr=snr)
    except RandomizeError as error:
        return Check(name, buffers=buffers, findings=list(error.findings))
    except UsageError as error:
        if not error.findings:
            raise
        return Check(name, buffers=buffers, findings=list(error.findings))
    fixed = dict.fromkeys(deterministic_parameters(net), "its family is fixed")
    parameters = _parameters(net)
    try:
        cost = _cost(net)
    except VariateError as error:  # a random network that was changed since
        return Check(name, parameters, fixed, buffers, [" ".join(str(error).split())])
    return Check(name, parameters, fixed, buffers, [] if x is None else measured(net, x), cost)


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
    size = sum(tensor.numel() * tensor.element_size() for tensor in drawn)
    sampler = native.describe() if drawn[0].is_cpu else f"plain torch on {drawn[0].device}"
    return Cost(round(1e3 * sorted(times[2:])[ROUNDS // 2], 3), size, sampler, stored_bytes(net))
