"""The objective of a training, wired from named parts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from torch import Tensor, nn

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.options import Value, parse
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.training.clock import Clock
from variate.training.inner_attack import InnerAttack
from variate.training.recipe import USUAL, Recipe

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
PART = re.compile(r"([\w-]+(?:\([^)]*\))?)(?::(.+))?")  # name(options):weight
SUM = re.compile(r"\+(?![^(]*\))")  # not within an option


def wire(
    recipe: Recipe,
    network: nn.Module,
    stream: Stream,
    *,
    clock: Clock | None = None,
    teacher: nn.Module | None = None,
    modality: Modality | None = None,
) -> Objective:
    """The objective of a recipe: the weighted sum of its parts, each given what it needs. Raises ``UsageError``.

    Args:
        recipe: with the objective's text, the budget and steps of its inner attack.
        network: the network in training, as it is; the objective may be called with a wrapper of it.
        stream: the training's keys.
        clock: kept at the present step by the training; without one everything is as at the end.
        teacher: the network that a distillation learns from.
        modality: of the inputs; images without one.
    """
    given = Given(clock=clock or Clock(step=1), teacher=teacher)
    if recipe.budget is not None:
        budget = Budget.parse(recipe.budget)
        given.perturb = InnerAttack(
            network, stream, budget, steps=recipe.attack_steps, seed=recipe.seed, modality=modality
        )
    parts = [_part(text.strip(), network, given) for text in SUM.split(recipe.objective or USUAL)]

    def total(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if given.perturb is not None:
            given.perturb.forget()
        first, *others = (weight * part(net, x, y) for weight, part in parts)
        return sum(others, first)

    return total


@dataclass
class Given:
    """What an objective gets by naming it among its arguments."""

    clock: Clock
    teacher: nn.Module | None = None
    perturb: InnerAttack | None = None


SUPPLIED = tuple(field.name for field in fields(Given))
MISSING = {
    "perturb": ("needs a budget", "pass budget='linf:8/255', for example"),
    "teacher": ("needs a teacher", "choose a defense that trains one, such as distillation"),
}


def _part(text: str, network: nn.Module, given: Given) -> tuple[float, Objective]:
    """One part, ``name``, ``name:weight`` or ``name(option=number):weight``: its weight and its function."""
    match = PART.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an objective", expected="name, name:0.5 or name(option=2):0.5, joined by +")
    named, weight = match.groups()
    name, chosen = parse(named, "an objective")
    entry = registry.get("objectives", name)
    function = entry.load()
    options = _options(name, function, chosen)
    factor = _number(f"the weight of {name}", weight) if weight else 1.0
    for supplied in SUPPLIED:
        if supplied in _keywords(function):
            options[supplied] = getattr(given, supplied)
            if options[supplied] is None:
                lacks, todo = MISSING[supplied]
                raise UsageError(f"the objective {name!r} {lacks}", todo=todo)
    if entry.facts["needs"] == "distribution" and not isinstance(network, RandomNetwork):
        raise UsageError(f"{name} is about scales, and this network has none", todo="variate.randomize(network) first")
    if entry.facts["needs"] in ("distribution", "layers"):
        return factor, lambda net, x, y: function(network, x, y, **options)
    return factor, partial(function, **options)


def _keywords(function: Objective) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]


def _options(name: str, function: Objective, given: Mapping[str, Value]) -> dict[str, Any]:
    """The options of one part, all of them numbers."""
    known = [keyword for keyword in _keywords(function) if keyword not in SUPPLIED]
    options = {}
    for option, value in given.items():
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
        options[option] = _number(f"{option} of {name}", str(value))
    return options


def _number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{what} is {text!r}", expected="a number, such as 0.5") from None
