"""The draws never disagree, or the learned noise has collapsed."""

from __future__ import annotations

from statistics import median

from variate.flags.evidence import Evidence
from variate.registry import flag

COLLAPSED = 0.01  # noise over mean; PNI's scales fell from .25 to .001-.009 (CVPR 2019, table 1)
TWINS = "twins"  # the part of the records with the mean network and the frozen draw
CLEAR = 30.0  # signal-to-noise ratio of a gradient; below it the draws differ even if their answers agree


@flag(
    level="warning",
    deterministic="note",
    trigger=(
        "All verdict draws agree on every example, attacked or not, unless the gradients of single draws deviate from "
        "their mean by more than a thirtieth; or the learned standard deviations are below 1 % of the means, in root "
        "mean square over all random elements."
    ),
    explanation=(
        "Every draw gives the same answers, so averages, votes and repeated queries mean nothing: the network is "
        "effectively deterministic. Under plain cross-entropy, learned scales shrink towards zero."
    ),
    remedy=(
        "If the network should be random, check its learned scales and its mode, and train with an objective that "
        "keeps the scales; otherwise read its accuracy as that of a deterministic network."
    ),
    cite="Carlini et al. 2019, arXiv:1902.06705; He, Rakin & Fan 2019, arXiv:1811.09310, table 1",
)
def not_random(evidence: Evidence) -> list[str]:
    """The draws never disagree, or the learned noise has collapsed."""
    return _collapsed(evidence) + _agreeing(evidence)


def _collapsed(evidence: Evidence) -> list[str]:
    noise = sum(line.elements * line.std_rms**2 for line in evidence.scales)
    means = sum(line.elements * line.mean_rms**2 for line in evidence.scales)
    if not evidence.scales or means == 0 or noise >= COLLAPSED**2 * means:
        return []
    ratio = 100 * (noise / means) ** 0.5
    return [f"the learned standard deviations are {ratio:.2g} % of the means, in root mean square"]


def _agreeing(evidence: Evidence) -> list[str]:
    claims = evidence.claims
    if all(claim.part == TWINS for claim in claims):  # deterministic on purpose
        return []
    if any((evidence.answers(claim) != evidence.answers(claim)[0]).any() for claim in claims):
        return []
    if not evidence.random:
        claimed = " although it was made random" if evidence.claims_random else ""
        return [f"it gives the same answer every time{claimed}"]
    clear = [line.snr for line in evidence.gradients if line.snr is not None]
    if clear and median(clear) < CLEAR:
        return []
    draws = max(claim.verdict_draws for claim in claims)
    return [f"all {draws} verdict draws agree on every example, attacked or not"]
