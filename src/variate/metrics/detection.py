"""How many malicious examples are detected, at a threshold with few false alarms."""

from __future__ import annotations

from dataclasses import dataclass

from variate.metrics.parts.thresholds import Thresholded
from variate.registry import metric


@metric(
    tasks=("classes", "binary"),
    better="high",
    needs="probabilities",
    cite="MLSEC 2021, https://mlsec.io: false negatives at false positives under 1 %",
)
@dataclass(frozen=True)
class Detection(Thresholded):
    """The share of class 1 above a threshold that at most 1 % of class 0 exceed, chosen on validation data.

    Attributes:
        fpr: largest share of class 0 above the threshold on the examples that it is chosen on.
        threshold: the threshold; by default it is chosen on the validation split.
    """
