"""The gradient is mostly noise."""

from __future__ import annotations

from statistics import median

from variate.flags.evidence import Evidence
from variate.registry import flag

MIN_COSINE = 0.3  # between the mean gradients of two halves of the draws


@flag(
    level="warning",
    trigger="The median over inputs of the cosine between the mean gradients of two halves of the draws is below 0.3.",
    explanation=(
        "Two averages over different draws point in different directions, so a step follows chance more than the "
        "network. More draws would find stronger attacks."
    ),
    remedy=(
        "Raise --draws until the accuracy is flat, or attack with keys=fixed, and try arc and transfer from the mean "
        "network."
    ),
    cite="Daeubener & Fischer 2022, arXiv:2204.10839",
)
def noisy_gradients(evidence: Evidence) -> list[str]:
    """The gradient is mostly noise."""
    lines = [line for line in evidence.gradients if line.zero < 1 and line.snr is not None]
    if not lines:
        return []
    cosine = median(line.cosine for line in lines)
    if cosine >= MIN_COSINE:
        return []
    half = lines[0].draws // 2
    sets = f"two sets of {half} draw{'s' * (half != 1)}"
    return [f"the mean gradients of {sets} have a cosine of {cosine:.2f} in the median over inputs"]
