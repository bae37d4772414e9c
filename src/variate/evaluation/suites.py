"""Suites: attacks run one after another on the examples that are not broken yet; the worst input of each is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.evaluation.fitting import bounds, serves
from variate.evaluation.plan import Plan
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.inputs.modality import Modality
from variate.options import parse, plain
from variate.statistics.rates import Deployment
from variate.tasks.classes import CLASSES, Classes
from variate.tasks.task import Task

AttackSpec = str | Mapping[str, Any]
CLIMBERS = ("pgd", "apgd-ce")  # attacks that climb every margin of a task in turn
LIBRARIES = ("foolbox", "art")  # entries that stand for all attacks of another library

ONLY_RANDOM = "only random"  # mark of an attack that a suite runs on random networks only

SUITES: dict[str, Sequence[AttackSpec]] = {
    "quick": ("fgsm", {"name": "pgd", "steps": 20}, "noise", "hotflip"),
    # the idea of AutoAttack (Croce & Hein 2020, arXiv:2003.01690), averaged throughout; error-rate climbs what averaged
    # losses miss, the probability of an error of each deployment, and arc breaks draws one by one where their gradients
    # cancel (Dbouk & Shanbhag 2022, arXiv:2206.06737); on a deterministic network both add nothing
    "standard": (
        "apgd-ce",
        "apgd-dlr",
        "apgd-targeted",
        "error-rate",
        {"name": "arc", "draws": 16, "steps": 5, "classes": 4, ONLY_RANDOM: True},
        {"name": "square", "draws": 5},
        "fmn",
        "transfer",
        "hotflip",
        "greedy-words",
    ),
    "full": (),  # every registered attack
}

PART = re.compile(r"(?:[^+(]|\([^)]*\))+")  # an attack of a suite of one's own, with its options


@dataclass(frozen=True)
class Suite:
    """Attacks in the order in which they are run.

    Attributes:
        name: name of the suite.
        plans: attacks.
    """

    name: str
    plans: tuple[Plan, ...]

    @property
    def attack(self) -> str:
        """Its name in the records."""
        return self.name

    @property
    def draws(self) -> int:
        """The largest number of draws that one of its attacks averages over."""
        return max(plan.draws for plan in self.plans)

    @property
    def target(self) -> str | None:
        """The target of all of its attacks; None if they are untargeted."""
        return self.plans[0].target

    def choices(self) -> dict[str, Any]:
        """Its attacks with their options, as the records keep them."""
        attacks = [{"name": plan.attack, "draws": plan.draws, **plan.choices()} for plan in self.plans]
        return {"attacks": attacks} | ({"target": self.target} if self.target else {})

    def settings(self) -> dict[str, Any]:
        """Its attacks with all of their options."""
        return {"attacks": [{"name": plan.attack, "draws": plan.draws, **plan.settings()} for plan in self.plans]}


def suite_of(
    name: str,
    budget: Budget,
    *,
    draws: int,
    transfers: Sequence[str],
    target: str | None = None,
    modality: Modality | None = None,
    deployments: Sequence[Deployment] = (),
    task: Task = CLASSES,
) -> Suite:
    """A suite of those attacks that support the budget's norm. Raises ``UsageError``.

    Args:
        name: ``quick``, ``standard`` or ``full``, or attacks joined by ``+``.
        budget: norm and size.
        draws: draws that each query of an attack averages over, unless the suite sets another number.
        transfers: names of the networks to transfer from; one transfer attack runs from each.
        target: answer to aim at, as in ``variate.evaluation.plan``; attacks that cannot be targeted are left out.
        modality: modality of the inputs, images by default; attacks that do not support it are left out.
        deployments: ways to use a random network, each of which error-rate attacks; none for a deterministic one.
        task: what the answers are; attacks that do not work on it are left out, and apgd-ce climbs each of its margins.
    """
    plans = []
    for options in _specs(name):
        if options.pop(ONLY_RANDOM, False) and not deployments:
            continue
        facts = registry.get("attacks", options["name"]).facts
        suits_target = target is None or facts["targeted"]
        fits = serves(options["name"], task) and bounds(options["name"], budget, modality or Image())
        if not suits_target or not fits:
            continue
        options |= {"target": target} if target is not None else {}
        plans += [Plan.of(options | more, draws) for more in _variants(options, transfers, deployments, task)]
    if not plans:
        targeted = " targeted" if target else ""
        raise UsageError(
            f"no{targeted} attack of the suite {name} supports {budget.norm}", todo="name an attack with --attack"
        )
    if any(plan.detector is not None for plan in plans):
        raise UsageError(f"an attack of the suite {name} faces a detector", todo="name it with --attack instead")
    return Suite(name, tuple(plans))


def _specs(name: str) -> list[dict[str, Any]]:
    """The attacks of a suite with their options. Raises ``UsageError``."""
    if name in SUITES:
        return [{"name": spec} if isinstance(spec, str) else dict(spec) for spec in SUITES[name] or full()]
    parts = PART.findall(name)
    if "+".join(parts) != name or (len(parts) == 1 and plain(name) not in registry.entries("attacks")):
        raise unknown_name("suite", name, list(SUITES))
    names = [parse(part, "an attack")[0] for part in parts]
    functions = [registry.get("attacks", attack).load() for attack in names]
    return [
        {"name": attack, **parse(part, "an attack", function)[1]}
        for attack, part, function in zip(names, parts, functions, strict=True)
    ]


def suite_transfers(name: str) -> bool:
    """Whether an attack of a suite transfers from other networks. Raises ``UsageError``."""
    return any(options["name"] == "transfer" for options in _specs(name))


def _variants(
    options: Mapping[str, Any], transfers: Sequence[str], deployments: Sequence[Deployment], task: Task
) -> list[dict[str, str]]:
    """The options of each run of one attack of a suite; those that are given stay."""
    name = options["name"]
    if name in CLIMBERS and "climb" not in options and not isinstance(task, Classes):
        climbs = task.climbs if options.get("target") is None else task.approaches
        return [{"climb": climb} for climb in climbs]
    if name == "transfer" and "source" not in options:
        return [{"source": source} for source in transfers]
    if name == "error-rate" and "deployment" not in options:
        rules = {deployment.source.partition("-")[0]: deployment.source for deployment in deployments}
        return [{"deployment": source} for source in rules.values()]
    return [{}]


def full() -> list[str]:
    """All attacks that Variate implements itself, white-box first, so that strong attacks leave less to the others."""
    order = {"gradient": 0, "scores": 1, "labels": 2, "none": 3}
    own = [entry for entry in registry.entries("attacks").values() if entry.name not in LIBRARIES]
    return [entry.name for entry in sorted(own, key=lambda entry: order[entry.facts["access"]])]
