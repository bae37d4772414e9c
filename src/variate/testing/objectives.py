"""Conformance suite for objectives: a finite scalar whose gradient reaches the parameters it should train."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from variate import registry
from variate.errors import UsageError
from variate.random.fixing import keys_from
from variate.random.keys import Stream
from variate.random.measures import scale_parameters
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.testing.findings import conform
from variate.training.clock import Clock
from variate.training.defense import defended
from variate.training.recipe import Recipe
from variate.training.wiring import SUM, wire

SMALL = 0.01  # scales small enough that a term that protects them must act


def check_objective(name: str) -> None:
    """Check that a registered objective conforms. Raises ``AssertionError`` with every violation.

    Args:
        name: name of the objective; its fact ``needs`` decides what is expected. An objective that needs the
            distribution must reach every scale. One that needs layers must reach every parameter added by the defense
            that uses it, and must raise ``UsageError`` without them. Any other must reach every scale and every mean,
            and must also work on a deterministic network.

    Example:
        >>> check_objective("cross-entropy")
    """
    needs = registry.get("objectives", name).facts["needs"]
    if needs == "layers":
        conform(f"objective {name}", _layer_findings(name))
        return
    random = randomize(_network(), scale=SMALL)
    scales = {id(scale) for scale in scale_parameters(random)}
    all_parameters = [name for name, _ in random.named_parameters()]
    only_scales = [name for name, parameter in random.named_parameters() if id(parameter) in scales]
    findings = [*_findings(name, random, only_scales if needs == "distribution" else all_parameters)]
    if needs != "distribution":
        findings += _findings(name, _network(), [name for name, _ in _network().named_parameters()])
    conform(f"objective {name}", findings)


def _network() -> nn.Module:
    """A smooth network, so that a zero gradient means an unreached parameter; every call gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))


def _layer_findings(name: str) -> Iterator[str]:
    """The objective reaches the layers of the defense that uses it, and raises ``UsageError`` without them."""
    used = False
    for user in registry.entries("defenses"):
        plain = _convolutional()
        before = {id(parameter) for parameter in plain.parameters()}
        network, objective = defended(user, plain, shape=(1, 28, 28))
        if name not in part_names(objective):
            continue
        used = True
        added = [n for n, parameter in network.named_parameters() if id(parameter) not in before]
        if not added:
            yield f"the defense {user} adds no parameters for it to reach"
        yield from _findings(name, network, added)
    if not used:
        yield "no registered defense uses it, so no network has the layers it needs"
    try:
        _value(name, _convolutional(), torch.rand(2, 1, 4, 4), torch.arange(2))
        yield "on a network without its layers it does not raise UsageError"
    except UsageError:
        pass


def part_names(objective: str) -> list[str]:
    """Names of the terms of an objective written as a sum."""
    return [re.split(r"[:(]", part.strip())[0] for part in SUM.split(objective)]


def _convolutional() -> nn.Module:
    """A network with every kind of layer a defense may modify; every call gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Sequential(nn.Linear(8 * 16, 5), nn.Tanh(), nn.Linear(5, 3))
        return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Tanh(), nn.Flatten(), head)


def _findings(name: str, network: nn.Module, required: list[str]) -> Iterator[str]:
    """The objective is a finite scalar on ``network``, and its gradient reaches every parameter in ``required``."""
    kind = "random" if isinstance(network, RandomNetwork) else "deterministic"
    x = torch.linspace(0.1, 0.9, 6 * 16).view(6, 1, 4, 4)
    before = x.clone()
    value = _value(name, network, x, torch.arange(6) % 3)
    if not torch.equal(x, before):
        yield "it changes its inputs"
    if value.shape != () or not bool(value.isfinite()):
        yield f"on a {kind} network it is {value.detach()}, not a finite scalar"
        return
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and not bool(gradient.isfinite().all()):
            yield f"on a {kind} network the gradient of {parameter} is not finite"
        elif parameter in required and (gradient is None or not bool(gradient.any())):
            yield f"on a {kind} network no gradient reaches {parameter}"


def _value(name: str, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The objective on a batch, half way through training."""
    recipe = Recipe(name, budget="linf:0.05", attack_steps=2)
    clock = Clock(examples=len(x), total=2, step=1)
    stream = Stream("train", 0)
    with keys_from(network, stream) if isinstance(network, RandomNetwork) else nullcontext():
        return wire(recipe, network, stream, clock=clock, teacher=_network())(network, x, y)
