"""An unbounded attack does not reach 100 %."""

from __future__ import annotations

from typing import Final

from variate.flags.evidence import Evidence
from variate.registry import flag

UNBOUNDED: Final = "unbounded"  # the part of the records with attacks that may use the whole range of inputs
MOST = 0.01  # right answers that may stay


@flag(
    level="warning",
    trigger=(
        "An attack that may use the whole range of inputs leaves more than 1 % right, by the lower end of the interval."
    ),
    explanation=(
        "An attacker who may change the input into any other breaks every example. If this one does not, it "
        "does not follow the network."
    ),
    remedy="Believe no rate of this attack: look for masked gradients, and for an error that no input changes.",
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def unbounded_survives(evidence: Evidence) -> list[str]:
    """An unbounded attack does not reach 100 %."""
    found = []
    for claim in evidence.attacked(part=UNBOUNDED):
        rate = evidence.rate(claim)
        if rate.low > MOST:
            found.append(f"{claim.attack} at {claim.budget}, the whole range of inputs, leaves {rate} % right")
    return found
