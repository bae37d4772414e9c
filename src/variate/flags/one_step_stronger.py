"""One step is stronger than many."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "fgsm gives a lower accuracy than pgd with the same draws and budget, by more than one point and beyond "
        "chance (99 %)."
    ),
    explanation=(
        "One step should not be stronger than many. If it is, the steps are misled: the gradients away from the input "
        "do not point towards errors of the network."
    ),
    remedy="Check for masked gradients; use smaller steps, more draws and random restarts.",
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def one_step_stronger(evidence: Evidence) -> list[str]:
    """One step is stronger than many."""
    findings = []
    for fgsm in evidence.attacked(attack="fgsm"):
        for pgd in evidence.attacked(attack="pgd", part=fgsm.part):
            gap = evidence.difference(pgd, fgsm)
            if (pgd.budget, pgd.draws) == (fgsm.budget, fgsm.draws) and gap is not None and gap.noticed:
                rates = f"accuracy {100 * evidence.rate(fgsm).rate:.1f} % against {100 * evidence.rate(pgd).rate:.1f} %"
                findings.append(f"fgsm is stronger than pgd at {fgsm.budget}, {fgsm.draws} draws: {rates}")
    return findings
