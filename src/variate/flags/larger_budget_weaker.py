"""More budget helps the defense."""

from __future__ import annotations

from itertools import pairwise

from variate.budget import Budget
from variate.evidence import Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "The same attack leaves more right answers at the larger budget, by more than a point and more than "
        "chance (99 %)."
    ),
    explanation=(
        "Every input inside the smaller budget is inside the larger one, so a larger budget can only help the attacker."
    ),
    remedy="The attack stops short: give it more steps, and a step size that fits the budget.",
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1; Carlini et al. 2019, arXiv:1902.06705",
)
def larger_budget_weaker(evidence: Evidence) -> list[str]:
    """More budget helps the defense."""
    found = []
    kinds = {(c.part, c.attack, str(c.options), c.draws) for c in evidence.attacked()}
    for part, attack, options, draws in sorted(kinds):
        claims = [
            c for c in evidence.attacked(part=part, attack=attack) if (str(c.options), c.draws) == (options, draws)
        ]
        by_size = sorted(claims, key=lambda claim: Budget.parse(claim.budget or "").size)
        for small, large in pairwise(by_size):
            gap = evidence.difference(large, small)
            if gap is not None and gap.noticed:
                rates = f"{100 * evidence.rate(small).rate:.1f} % and {100 * evidence.rate(large).rate:.1f} % right"
                found.append(f"{attack} at {small.budget} and at {large.budget}: {rates}")
    return found
