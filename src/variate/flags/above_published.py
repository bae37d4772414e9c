"""The result is above the best published one."""

from __future__ import annotations

from fractions import Fraction

from variate.flags.evidence import Evidence, judged_on
from variate.inputs.budget import Budget
from variate.records.claim import Claim
from variate.registry import flag

DATA, NORM, SIZE = "cifar10", "linf", Fraction("0.031")  # minimum size; some papers round 8/255 to 0.031
BEST = (73.71, "the best published is 73.71 % (WRN-94-16)")
RESNET18 = (58.5, "the best published for a ResNet-18 is 58.5 % (with synthetic data; 52.5 % without)")


@flag(
    level="warning",
    trigger=(
        "The lower end of the interval of the strongest attack in the table lies above the best published "
        "deterministic result for the data set and budget: on CIFAR-10 at linf 8/255 or more, 73.71 %, or 58.5 % for "
        "a ResNet-18."
    ),
    explanation=(
        "A result above the best published deterministic one for its setting is more likely due to a weak attack than "
        "to a better defense."
    ),
    remedy=(
        "Attack harder before trusting the result: run the full suite, use more steps and draws, and design an attack "
        "for this defense."
    ),
    cite="Croce et al. 2020, arXiv:2010.09670 (RobustBench); its model cards as of 2025-03, AutoAttack",
)
def above_published(evidence: Evidence) -> list[str]:
    """The result is above the best published one."""
    if evidence.data != DATA:
        return []
    network = evidence.described
    best, source = RESNET18 if network is not None and network.architecture == "resnet18" else BEST
    strongest: dict[tuple[object, ...], Claim] = {}  # only the strongest attack of a setting counts
    for claim in evidence.attacked(part="table"):
        setting = claim.budget, judged_on(claim)
        if setting not in strongest or evidence.rate(claim).rate < evidence.rate(strongest[setting]).rate:
            strongest[setting] = claim
    findings = []
    for claim in strongest.values():
        budget, rate = Budget.parse(claim.budget or ""), evidence.rate(claim)
        if budget.norm == NORM and budget.size >= SIZE and rate.low > best / 100:
            findings.append(f"{claim.attack} at {claim.budget}: accuracy {rate} %; {source}")
    return findings
