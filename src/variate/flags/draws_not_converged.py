"""The accuracy still falls with more draws."""

from __future__ import annotations

from collections.abc import Hashable

from variate.flags.evidence import Evidence, judged_on
from variate.records.claim import Claim
from variate.registry import flag

CURVE = "draws"  # the part of the records with one attack under increasing numbers of draws


@flag(
    level="warning",
    trigger=(
        "The last doubling of the draws by --draws auto lowered the accuracy by more than one point; or, on the curve "
        "of accuracy against draws, the largest number of draws gives a lower accuracy than the one before, by more "
        "than one point and beyond chance (99 %)."
    ),
    explanation=(
        "More draws in every step of the attack still lower the accuracy, so the accuracy is not yet that against an "
        "attacker who averages enough."
    ),
    remedy="Raise --draws, or let --draws auto double them, until the accuracy is flat.",
    cite="Carlini et al. 2019, arXiv:1902.06705; Gao et al. 2022, arXiv:2206.09491",
)
def draws_not_converged(evidence: Evidence) -> list[str]:
    """The accuracy still falls with more draws."""
    ladders = [
        f"{line.attack} at {line.budget}: "
        f"accuracy {100 * line.accuracy[-2]:.1f} % with {line.draws[-2]} draws per step "
        f"and {100 * line.accuracy[-1]:.1f} % with {line.draws[-1]}"
        for line in evidence.convergences
        if not line.flat and len(line.draws) > 1
    ]
    return ladders + _curves(evidence)


def _curves(evidence: Evidence) -> list[str]:
    """Findings for curves that still fall at the largest number of draws."""
    groups: dict[Hashable, list[Claim]] = {}
    for claim in evidence.attacked(part=CURVE):
        setting = (claim.attack, str(claim.options), claim.budget, judged_on(claim))
        groups.setdefault(setting, []).append(claim)
    findings = []
    for claims in groups.values():
        *_, few, many = sorted([claims[0], *claims], key=lambda claim: claim.draws)
        gap = evidence.difference(few, many)
        if gap is not None and gap.noticed:
            rates = [f"{100 * evidence.rate(c).rate:.1f} % with {c.draws} draws per step" for c in (few, many)]
            findings.append(f"{many.attack} at {many.budget}: accuracy {' and '.join(rates)}")
    return findings
