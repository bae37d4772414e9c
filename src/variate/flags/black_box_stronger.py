"""A black-box attack beats the white-box ones."""

from __future__ import annotations

from variate.evidence import GRADIENTS, Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger=(
        "Random search, a black-box attack or transfer leaves fewer right answers than the best gradient "
        "attack, on the same examples and draws, by more than a point and more than chance (99 %)."
    ),
    explanation=(
        "An attacker who sees less should not find more. If one does, the attacks with gradients are not as "
        "strong as they could be."
    ),
    remedy=(
        "Take the lower rate as the verdict, and look for masked gradients: more steps, restarts, another "
        "loss, more draws."
    ),
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def black_box_stronger(evidence: Evidence) -> list[str]:
    """A black-box attack beats the white-box ones."""
    found = []
    claims = [c for c in evidence.attacked() if not c.options.get("attacks")]
    for black in (c for c in claims if c.attack not in GRADIENTS):
        whites = [c for c in claims if c.attack in GRADIENTS and (c.budget, c.part) == (black.budget, black.part)]
        best = min(whites, key=lambda claim: evidence.rate(claim).rate, default=None)
        gap = evidence.difference(best, black) if best is not None else None
        if best is not None and gap is not None and gap.noticed:
            rates = f"{100 * evidence.rate(black).rate:.1f} % right against {100 * evidence.rate(best).rate:.1f} %"
            found.append(f"{black.attack} beats {best.attack} at {black.budget}: {rates}")
    return found
