"""How many benign examples are taken for malicious, at the threshold of detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from variate.metrics.parts.thresholds import Thresholded
from variate.registry import metric


@metric(
    tasks=("classes", "binary"),
    better="low",
    needs="probabilities",
    cite="MLSEC 2021, https://mlsec.io: false negatives at false positives under 1 %",
)
@dataclass(frozen=True)
class FalseAlarms(Thresholded):
    """The share of class 0 above the threshold of ``detection``: whether the rate on validation data holds here.

    Attributes:
        fpr: largest share of class 0 above the threshold on the examples that it is chosen on.
        threshold: the threshold; by default it is chosen on the validation split.
    """

    of_class: ClassVar[int] = 0
