"""Evaluating a deployment that rejects similar queries: never without the attack that adapts to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from variate import options as spec
from variate import registry
from variate.errors import UsageError
from variate.evaluation.plan import Plan
from variate.evaluation.suites import Suite
from variate.records.adapted import ADAPTIVE
from variate.serving.similar import ordinary_rejections

Spec = str | Mapping[str, Any]


def facing(attacks: Sequence[Spec], detector: str | None) -> list[Spec]:
    """The attacks of an evaluation, of which those that query labels face a detector.

    The other attacks see gradients, which a served network does not return, or send no queries: they measure the
    network itself.

    Args:
        attacks: names with options, or mappings.
        detector: the detector; None: each attack faces the one of its own option ``detector``, if any.

    Raises:
        UsageError: for an attack that queries scores; and unless ``oars`` faces each detector, with at least as many
            queries as the other attacks that do.
    """
    faced = list(attacks) if detector is None else [_faced(attack, detector) for attack in attacks]
    _check_adaptive([Plan.of(attack, 1) for attack in faced], detector)
    return faced


def ordinary_share(plan: Plan | Suite, x: Tensor, seed: int) -> float | None:
    """The share of the evaluated inputs that a plan's detector rejects as ordinary traffic; None without a detector."""
    if isinstance(plan, Suite) or plan.detector is None:
        return None
    return round(ordinary_rejections(plan.detector, x, seed=seed), 6)


def _faced(attack: Spec, detector: str) -> Spec:
    """An attack with the detector among its options, if it queries labels."""
    if isinstance(attack, str):
        name = spec.parse(attack, "an attack")[0]
        entry = registry.get("attacks", name)
        options: Mapping[str, Any] = {"name": name, **spec.parse(attack, "an attack", entry.load())[1]}
    else:
        options, entry = attack, registry.get("attacks", str(attack.get("name", "")))
    if entry.facts["access"] == "scores":
        raise UsageError(
            f"{entry.name} queries scores, and the detector {detector} is evaluated on a server of labels",
            expected="attacks with access labels; those with access gradient or none send no queries",
        )
    return {**options, "detector": detector} if entry.facts["access"] == "labels" else attack


def _check_adaptive(plans: Sequence[Plan], detector: str | None) -> None:
    """Raise ``UsageError`` unless ``oars`` faces every detector that a plan faces, with as many queries."""
    faced = {plan.detector: 0 for plan in plans if plan.detector is not None}
    adaptive = dict(faced)
    for plan in plans:
        if plan.detector is not None:
            queries = int(plan.settings().get("queries", 0))
            counted = adaptive if plan.attack == ADAPTIVE else faced
            counted[plan.detector] = max(counted[plan.detector], queries)
    if detector is not None and not faced:
        raise UsageError(f"no attack faces the detector {detector}", todo=f"--attack {ADAPTIVE}")
    for name, most in faced.items():
        if not adaptive[name]:
            raise UsageError(
                f"no attack adapts to the detector {name}",
                expected=f"{ADAPTIVE}: a rate under plain attacks alone says nothing about a stateful defense",
                todo=f"--attack {ADAPTIVE}",
            )
        if adaptive[name] < most:
            raise UsageError(
                f"{ADAPTIVE} has {adaptive[name]} queries, and another attack on the detector {name} has {most}",
                expected="at least as many for the adaptive attack",
                todo=f"--attack '{ADAPTIVE}(queries={most})'",
            )
