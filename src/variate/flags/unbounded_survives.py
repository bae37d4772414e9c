"""An unbounded attack does not reach 100 % success."""

from __future__ import annotations

from typing import Final

from variate.flags.evidence import Evidence
from variate.registry import flag

UNBOUNDED: Final = "unbounded"  # the part of the records with attacks that may use the whole range of inputs
MAX_ACCURACY = 0.01


@flag(
    level="warning",
    trigger=(
        "The accuracy under an attack that may use the whole range of inputs is above 1 %, by the lower end of its "
        "interval."
    ),
    explanation=(
        "An attacker who may change the input into any other breaks every example. An attack that does not is not "
        "following the network."
    ),
    remedy=(
        "Do not trust any result of this attack: check for masked gradients, and for answers that do not depend on the "
        "input."
    ),
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def unbounded_survives(evidence: Evidence) -> list[str]:
    """An unbounded attack does not reach 100 % success."""
    findings = []
    for claim in evidence.attacked(part=UNBOUNDED):
        rate = evidence.rate(claim)
        if rate.low > MAX_ACCURACY:
            findings.append(f"{claim.attack} at {claim.budget}, the whole range of inputs: accuracy {rate} %")
    return findings
