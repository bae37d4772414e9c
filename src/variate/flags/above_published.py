"""It is above the best that was published."""

from __future__ import annotations

from fractions import Fraction

from variate.flags.evidence import Evidence, judged_on
from variate.inputs.budget import Budget
from variate.records.schema import Claim
from variate.registry import flag

DATA, NORM, SIZE = "cifar10", "linf", Fraction("0.031")  # 8/255, which some papers round to 0.031; or more
BEST = (73.71, "the best published is 73.71 % (WRN-94-16)")
RESNET18 = (58.5, "the best published for a ResNet-18 is 58.5 % (with synthetic data; 52.5 % without)")


@flag(
    level="warning",
    trigger=(
        "The lower end of the interval of the strongest attack of the table lies above the best published deterministic"
        " result for the data set and budget: on CIFAR-10 at linf 8/255 or more 73.71 %, for a ResNet-18 58.5 %."
    ),
    explanation=(
        "A claim above the best published deterministic result for its setting is more likely a weak attack "
        "than a better defense."
    ),
    remedy=(
        "Attack harder before you believe it: the full suite, more steps and draws, an attack made for this defense."
    ),
    cite="RobustBench model cards, March 2025, AutoAttack, arXiv:2010.09670",
)
def above_published(evidence: Evidence) -> list[str]:
    """It is above the best that was published."""
    if evidence.data != DATA:
        return []
    made = evidence.described
    best, source = RESNET18 if made is not None and made.architecture == "resnet18" else BEST
    strongest: dict[tuple[object, ...], Claim] = {}  # a weak attack beside a strong one claims nothing
    for claim in evidence.attacked(part="table"):
        setting = claim.budget, judged_on(claim)
        if setting not in strongest or evidence.rate(claim).rate < evidence.rate(strongest[setting]).rate:
            strongest[setting] = claim
    found = []
    for claim in strongest.values():
        budget, rate = Budget.parse(claim.budget or ""), evidence.rate(claim)
        if budget.norm == NORM and budget.size >= SIZE and rate.low > best / 100:
            found.append(f"{claim.attack} at {claim.budget} leaves {rate} % right; {source}")
    return found
