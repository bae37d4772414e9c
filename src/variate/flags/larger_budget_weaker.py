"""A larger budget helps the defense."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import pairwise

from variate.flags.evidence import Evidence, judged_on
from variate.inputs.budget import Budget
from variate.records.claim import Claim
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "The same attack gives a higher accuracy at the larger budget, by more than one point and beyond chance (99 %)."
    ),
    explanation=(
        "Every input inside the smaller budget is inside the larger one, so a larger budget can only help the attacker."
    ),
    remedy="The attack stops too early: use more steps, and a step size that fits the budget.",
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1; Carlini et al. 2019, arXiv:1902.06705",
)
def larger_budget_weaker(evidence: Evidence) -> list[str]:
    """A larger budget helps the defense."""
    findings = []
    groups: dict[Hashable, list[Claim]] = {}
    for claim in evidence.attacked():
        measure = Budget.parse(claim.budget or "").measure  # sizes in different measures cannot be compared
        setting = (claim.part, claim.attack, str(claim.options), claim.draws, measure, judged_on(claim))
        groups.setdefault(setting, []).append(claim)
    for claims in groups.values():
        by_size = sorted(claims, key=lambda claim: Budget.parse(claim.budget or "").eps)
        for small, large in pairwise(by_size):
            gap = evidence.difference(large, small)
            if gap is not None and gap.noticed:
                rates = f"accuracy {100 * evidence.rate(small).rate:.1f} % and {100 * evidence.rate(large).rate:.1f} %"
                findings.append(f"{small.attack} at {small.budget} and at {large.budget}: {rates}")
    return findings
