"""Assemble the objective of a training run from named parts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from torch import Tensor, nn

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.inputs.budget import Budget
from variate.inputs.modality import Modality
from variate.options import Value, parse
from variate.random.inside import contains_random
from variate.random.keys import Stream
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task
from variate.training.clock import Clock
from variate.training.deployed import DeployedMean, OneOf, trained_draws
from variate.training.inner_attack import InnerAttack
from variate.training.recipe import Recipe

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
PART = re.compile(r"([\w-]+(?:\([^)]*\))?)(?::(.+))?")  # name(options):weight
SUM = re.compile(r"\+(?![^(]*\))")  # a plus outside parentheses


def wire(
    recipe: Recipe,
    network: nn.Module,
    stream: Stream,
    *,
    clock: Clock | None = None,
    teacher: nn.Module | None = None,
    modality: Modality | None = None,
    task: Task = CLASSES,
) -> Objective:
    """Build the objective of a recipe: the weighted sum of its parts, each with the inputs it needs.

    Args:
        recipe: recipe with the objective's text and the budget and steps of the inner attack.
        network: the network in training, unwrapped; the objective may be called with a wrapper of it.
        stream: key stream of the training.
        clock: progress, which the training updates; by default that of a finished run.
        teacher: network that a distillation objective learns from.
        modality: modality of the inputs, images by default.
        task: what the answers are.

    Raises:
        UsageError: for an unknown part or option, or a part whose needs are not met.
    """
    supplied = Supplied(clock=clock or Clock(step=1), task=task, teacher=teacher)
    draws = trained_draws(recipe, network)
    if recipe.budget is not None:
        budget = Budget.parse(recipe.budget)
        attacked = network if draws == 1 else DeployedMean(network, draws, plain=network)
        supplied.perturb = InnerAttack(
            attacked,
            stream,
            budget,
            steps=recipe.attack_steps,
            seed=recipe.seed,
            modality=modality,
            task=task,
            clock=supplied.clock,
        )
    parts = [_part(text.strip(), network, supplied) for text in SUM.split(recipe.objective_or_default)]
    if recipe.priors and not any(part.has_prior for part in parts):
        raise UsageError(f"{recipe.objective_or_default} knows no priors", todo="use the objective elbo, or add +kl")

    def total(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        if supplied.perturb is not None:
            supplied.perturb.forget()
        if draws == 1:
            return _sum([part.weight * part.of(net, x, y) for part in parts])
        mean = DeployedMean(net, draws, plain=network if alone else None, record=recipe.each_draw > 0)
        terms = [part.weight * part.of(mean, x, y) for part in parts]
        if recipe.each_draw > 0:
            again = [part for part in parts if part.of_outputs]
            for draw in range(draws):
                share = 1 / draws if mean.shares is None else mean.shares[draw]
                terms += [
                    recipe.each_draw * share * part.weight * part.of(OneOf(mean.outputs, draw), x, y) for part in again
                ]
        return _sum(terms)

    alone = recipe.devices == 1 and recipe.precision in ("32-true", "64-true")  # a wrapper does nothing of its own
    return total


def _sum(terms: Sequence[Tensor]) -> Tensor:
    return sum(terms[1:], terms[0])


@dataclass(frozen=True)
class Part:
    """One term of an objective.

    Attributes:
        weight: its weight.
        of: its function.
        of_outputs: whether that is a function of the outputs of the network.
        has_prior: whether it is a divergence from a prior.
    """

    weight: float
    of: Objective
    of_outputs: bool
    has_prior: bool


@dataclass
class Supplied:
    """Values that an objective receives if it has a keyword of that name."""

    clock: Clock
    task: Task
    teacher: nn.Module | None = None
    perturb: InnerAttack | None = None


SUPPLIED = tuple(field.name for field in fields(Supplied))
MISSING = {
    "perturb": ("needs a budget", "pass budget='linf:8/255', for example"),
    "teacher": ("needs a teacher", "choose a defense that trains one, such as distillation"),
}


def _part(text: str, network: nn.Module, supplied: Supplied) -> Part:
    """Parse one part: ``name``, ``name:weight`` or ``name(option=number):weight``."""
    match = PART.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not an objective", expected="name, name:0.5 or name(option=2):0.5, joined by +")
    text_of_part, weight = match.groups()
    name, values = parse(text_of_part, "an objective")
    entry = registry.get("objectives", name)
    function = entry.load()
    if not isinstance(supplied.task, Classes) and entry.facts["labels"] and "task" not in _keywords(function):
        serve = [e.name for e in registry.entries("objectives").values() if "task" in _keywords(e.load())]
        raise UsageError(f"the objective {name} is one of classes", expected=f"one of {', '.join(serve)}")
    options, has_prior = _options(name, function, values), "prior" in _keywords(function)
    factor = _number(f"the weight of {name}", weight) if weight else 1.0
    for keyword in SUPPLIED:
        if keyword in _keywords(function):
            options[keyword] = getattr(supplied, keyword)
            if options[keyword] is None:
                need, todo = MISSING[keyword]
                raise UsageError(f"the objective {name!r} {need}", todo=todo)
    if entry.facts["needs"] == "distribution" and not contains_random(network):
        raise UsageError(f"{name} needs scales, and this network has none", todo="variate.randomize(network) first")
    if entry.facts["needs"] in ("distribution", "layers"):
        return Part(factor, lambda net, x, y: function(network, x, y, **options), False, has_prior)
    return Part(factor, partial(function, **options), True, has_prior)


def _keywords(function: Objective) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]


def _options(name: str, function: Objective, values: Mapping[str, Value]) -> dict[str, Any]:
    """Check and convert the options of one part, all of them numbers, or true or false."""
    known = [keyword for keyword in _keywords(function) if keyword not in SUPPLIED]
    options = {}
    for option, value in values.items():
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
        options[option] = value if isinstance(value, bool) else _number(f"{option} of {name}", str(value))
    return options


def _number(what: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{what} is {text!r}", expected="a number, such as 0.5") from None
