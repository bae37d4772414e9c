"""Everything that decides the numbers of a training run, and its objective, wired from named parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from variate import registry
from variate.budget import Budget
from variate.draws import Kind, kind_of, left_as_found
from variate.errors import UsageError
from variate.network import RandomNetwork
from variate.oracle import GradientOracle
from variate.randomness import Stream

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers of a training run, beside the network and the data: see ``train``."""

    objective: str
    epochs: int = 10
    lr: float = 2e-3
    scale_lr: float = 5.0
    weight_decay: float = 1e-4
    budget: str | None = None
    attack_steps: int = 10
    seed: int = 0
    precision: str = "32-true"


def wire(recipe: Recipe, network: nn.Module, stream: Stream) -> Objective:
    """The objective of a recipe: the weighted sum of its parts, each given what it needs. Raises ``UsageError``."""
    parts = [_part(text, recipe, network, stream) for text in recipe.objective.split("+")]

    def total(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([weight * part(net, x, y) for weight, part in parts]).sum()

    return total


def _part(text: str, recipe: Recipe, network: nn.Module, stream: Stream) -> tuple[float, Objective]:
    name, _, weight = text.strip().partition(":")
    entry = registry.get("objectives", name)
    try:
        factor = float(weight) if weight else 1.0
    except ValueError:
        raise UsageError(f"the weight of {text!r} is not a number", expected=f"{name}:0.1, for example") from None
    function = entry.load()
    if entry.facts["needs"] == "perturb":
        return factor, partial(function, perturb=_inner_attack(recipe, network, stream, name))
    if entry.facts["needs"] == "distribution":
        if not isinstance(network, RandomNetwork):
            raise UsageError(
                f"{name} is about scales, and this network has none", todo="variate.randomize(network) first"
            )
        return factor, lambda net, x, y: function(network, x, y)
    return factor, function


def _inner_attack(recipe: Recipe, network: nn.Module, stream: Stream, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """PGD on the network in training, with a fresh draw at every step; batch-norm statistics do not see it."""
    if recipe.budget is None:
        raise UsageError(f"the objective {name!r} needs a budget", todo="pass budget='linf:8/255', for example")
    budget = Budget.parse(recipe.budget)
    pgd = registry.get("attacks", "pgd").load()
    kinds: list[Kind] = []

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        if not kinds:
            kinds.append(kind_of(network, x[:2]))
        oracle = GradientOracle(network, stream=stream, kind=kinds[0], seed=recipe.seed)
        with left_as_found(network):
            return cast(Tensor, pgd(oracle, x, y, budget=budget, steps=recipe.attack_steps))

    return perturb
