"""It is above the best that was published."""

from __future__ import annotations

from variate.evidence import Evidence
from variate.registry import flag

PUBLISHED = {("cifar10", "linf:8/255"): 73.71}  # WRN-94-16 under AutoAttack; the best ResNet-18 has 58.5


@flag(
    level="warning",
    trigger=(
        "The lower end of the interval of an attack's rate lies above the best published deterministic result"
        " for the data set and budget."
    ),
    explanation=(
        "A claim above the best published deterministic result for its setting is more likely a weak attack "
        "than a better defense."
    ),
    remedy=(
        "Attack harder before you believe it: the full suite, more steps and draws, an attack made for this defense."
    ),
    cite="RobustBench model cards, March 2025, arXiv:2010.09670",
)
def above_published(evidence: Evidence) -> list[str]:
    """It is above the best that was published."""
    found = []
    for claim in evidence.attacked():
        best = PUBLISHED.get((evidence.data or "", claim.budget or ""))
        rate = evidence.rate(claim)
        if best is not None and claim.part == "table" and rate.low > best / 100:
            found.append(f"{claim.attack} at {claim.budget} leaves {rate} % right; the best published is {best} %")
    return found
