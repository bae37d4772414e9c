"""Everything that decides the numbers of a training run, and its objective, wired from named parts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from variate import registry
from variate.budget import Budget
from variate.errors import UsageError, unknown_name
from variate.keyed import Kind, kind_of, left_as_found
from variate.network import RandomNetwork
from variate.oracle import GradientOracle
from variate.randomness import Stream
from variate.spec import Value, parse

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
PART = re.compile(r"([\w-]+(?:\([^)]*\))?)(?::(.+))?")  # name(options):weight


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
    """One part, ``name``, ``name:weight`` or ``name(option=number):weight``: its weight and its function."""
    match = PART.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not an objective", expected="name, name:0.5 or name(option=2):0.5, joined by +")
    named, weight = match.groups()
    name, given = parse(named, "an objective")
    entry = registry.get("objectives", name)
    function = entry.load()
    options = _options(name, function, given)
    factor = _number(f"the weight of {name}", weight) if weight else 1.0
    if entry.facts["needs"] == "perturb":
        options["perturb"] = _inner_attack(recipe, network, stream, name)
    if entry.facts["needs"] == "distribution":
        if not isinstance(network, RandomNetwork):
            raise UsageError(
                f"{name} is about scales, and this network has none", todo="variate.randomize(network) first"
            )
        return factor, lambda net, x, y: function(network, x, y, **options)
    return factor, partial(function, **options)


def _options(name: str, function: Objective, given: Mapping[str, Value]) -> dict[str, Any]:
    """The options of one part, all of them numbers."""
    known = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    options = {}
    for option, value in given.items():
        if option not in known or option == "perturb":
            raise unknown_name(f"option of {name}", option, [choice for choice in known if choice != "perturb"])
        options[option] = _number(f"{option} of {name}", str(value))
    return options


def _number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{what} is {text!r}", expected="a number, such as 0.5") from None


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
