"""The accuracy still falls with more draws."""

from __future__ import annotations

from variate.evidence import Evidence
from variate.registry import flag


@flag(
    level="warning",
    trigger="The last doubling of the draws on the ladder of --draws auto took away more than a point.",
    explanation=(
        "More draws in every step of the attack still lower the accuracy, so the rate is not yet that of an "
        "attacker who averages enough."
    ),
    remedy="Raise --draws, or let --draws auto climb, until the accuracy is flat.",
    cite="Carlini et al. 2019, arXiv:1902.06705; Gao et al. 2022, arXiv:2205.05564",
)
def draws_not_converged(evidence: Evidence) -> list[str]:
    """The accuracy still falls with more draws."""
    return [
        f"{line.attack} at {line.budget} leaves {100 * line.accuracy[-2]:.1f} % with {line.draws[-2]} draws a step and "
        f"{100 * line.accuracy[-1]:.1f} % with {line.draws[-1]}"
        for line in evidence.convergences
        if not line.flat and len(line.draws) > 1
    ]
