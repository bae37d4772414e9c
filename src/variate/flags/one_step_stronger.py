"""One step beats many."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "fgsm leaves fewer right answers than pgd with the same draws and budget, by more than a point and "
        "more than chance (99 %)."
    ),
    explanation=(
        "One step should not beat many. If it does, the steps are led astray: the gradient away from the "
        "input is not that of the network that matters."
    ),
    remedy="Look for masked gradients; take smaller steps, more draws and random restarts.",
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def one_step_stronger(evidence: Evidence) -> list[str]:
    """One step beats many."""
    found = []
    for one in evidence.attacked(attack="fgsm"):
        for many in evidence.attacked(attack="pgd", part=one.part):
            gap = evidence.difference(many, one)
            if (many.budget, many.draws) == (one.budget, one.draws) and gap is not None and gap.noticed:
                rates = f"{100 * evidence.rate(one).rate:.1f} % right against {100 * evidence.rate(many).rate:.1f} %"
                found.append(f"fgsm beats pgd at {one.budget}, {one.draws} draws: {rates}")
    return found
