"""Suites: attacks that are run one after another on what is not broken yet, and judged by the worst input of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from variate import registry
from variate.errors import UsageError, unknown_name
from variate.evaluation.plan import Plan, bounds
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.inputs.modality import Modality

Wanted = str | Mapping[str, Any]
LIBRARIES = ("foolbox", "art")  # entries that hold the attacks of another library, none in particular

SUITES: dict[str, Sequence[Wanted]] = {
    "quick": ("fgsm", {"name": "pgd", "steps": 20}, "noise", "hotflip"),
    # the idea of AutoAttack (Croce & Hein 2020, arXiv:2003.01690), averaged throughout
    "standard": (
        "apgd-ce",
        "apgd-dlr",
        "apgd-targeted",
        {"name": "square", "draws": 5},
        "fmn",
        "transfer",
        "hotflip",
        "greedy-words",
    ),
    "full": (),  # every attack that is registered
}


@dataclass(frozen=True)
class Suite:
    """Attacks in the order in which they are run.

    Attributes:
        name: of the suite.
        plans: the attacks.
    """

    name: str
    plans: tuple[Plan, ...]

    @property
    def attack(self) -> str:
        """What the records call it."""
        return self.name

    @property
    def draws(self) -> int:
        """The most draws that one of its attacks averages over."""
        return max(plan.draws for plan in self.plans)

    @property
    def target(self) -> str | None:
        """The label that all of its attacks aim at, if they aim."""
        return self.plans[0].target

    def choices(self) -> dict[str, Any]:
        """Its attacks with their options, as the records keep them."""
        attacks = [{"name": plan.attack, "draws": plan.draws, **plan.choices()} for plan in self.plans]
        return {"attacks": attacks} | ({"target": self.target} if self.target else {})

    def settings(self) -> dict[str, Any]:
        """Its attacks with everything that they are told."""
        return {"attacks": [{"name": plan.attack, "draws": plan.draws, **plan.settings()} for plan in self.plans]}


def suite_of(
    name: str,
    budget: Budget,
    *,
    draws: int,
    transfers: Sequence[str],
    target: str | None = None,
    modality: Modality | None = None,
) -> Suite:
    """A suite, as far as its attacks bound the budget's norm. Raises ``UsageError``.

    Args:
        name: ``quick``, ``standard`` or ``full``.
        budget: the norm and the size.
        draws: that each query of an attack averages over, where the suite names no other number.
        transfers: what transfer attacks may hold, by name; one is run from each, none without any.
        target: what to aim at, as in ``variate.evaluation.plan``; attacks that cannot aim are left out.
        modality: of the inputs; images without one. Attacks that do not work on it are left out.
    """
    if name not in SUITES:
        raise unknown_name("suite", name, list(SUITES))
    plans = []
    for wanted in SUITES[name] or full():
        given = {"name": wanted} if isinstance(wanted, str) else dict(wanted)
        facts = registry.get("attacks", given["name"]).facts
        aims = target is None or facts["targeted"]
        if not aims or not bounds(given["name"], budget, modality or Image()):
            continue
        given |= {"target": target} if target is not None else {}
        sources = transfers if given["name"] == "transfer" else [None]
        plans += [Plan.of(given | ({"source": source} if source else {}), draws) for source in sources]
    if not plans:
        aimed = " and aims at a label" if target else ""
        raise UsageError(f"no attack of the suite {name} bounds {budget.norm}{aimed}", todo="take --attack instead")
    return Suite(name, tuple(plans))


def full() -> list[str]:
    """Every registered attack of our own, white-box first; those that find the most come early and spare the others."""
    order = {"gradient": 0, "scores": 1, "labels": 2, "none": 3}
    own = [entry for entry in registry.entries("attacks").values() if entry.name not in LIBRARIES]
    return [entry.name for entry in sorted(own, key=lambda entry: order[entry.facts["access"]])]
