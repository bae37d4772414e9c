"""The draws never disagree."""

from __future__ import annotations

import numpy as np

from variate.evidence import Evidence
from variate.registry import flag


@flag(
    level="note",
    trigger="All draws of the verdict agree on every example, attacked or not.",
    explanation=(
        "Every draw answers alike, so averaging, votes and repeated questions mean nothing: the network is "
        "deterministic."
    ),
    remedy=(
        "If it should be random, look at its learned scales and at its mode; if not, read its rates as those "
        "of one network."
    ),
    cite="Carlini et al. 2019, arXiv:1902.06705",
)
def not_random(evidence: Evidence) -> list[str]:
    """The draws never disagree."""
    claims = evidence.claims
    if any(not np.array_equal(row, answers[0]) for c in claims for answers in [evidence.answers(c)] for row in answers):
        return []
    made = evidence.described
    if not evidence.random:
        claimed = " although it was made random" if made is not None and made.random else ""
        return [f"it answers the same each time{claimed}"]
    draws = max(claim.verdict_draws for claim in claims)
    return [f"all {draws} draws of the verdict agree on every one of the examples, attacked or not"]
