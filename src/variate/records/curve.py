"""The accuracy of a network in training after one of its epochs, on the same examples of a split at every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from variate.records.bits import unpack, unpack_all
from variate.statistics.rise import Rise, rise_at_end

CurveSplit = Literal["train", "validation"]


@dataclass(frozen=True)
class EpochAccuracy:
    """One point of the curve of a training run.

    Attributes:
        epoch: epochs done.
        split: the split that the examples are from.
        clean: accuracy (or mean score) without attack, in [0, 1].
        robust: whether each example is answered correctly under a short attack, or its score: packed
            (``records.bits``).
    """

    epoch: int
    split: CurveSplit
    clean: float
    robust: str

    @property
    def robust_accuracy(self) -> float:
        """Accuracy (or mean score) under the short attack, in [0, 1]."""
        return float(unpack(self.robust).mean())

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(unpack(self.robust))


def points_of(curve: Sequence[EpochAccuracy], split: CurveSplit) -> list[EpochAccuracy]:
    """The points of one split, by epoch."""
    return [point for point in curve if point.split == split]


def rise_of(curve: Sequence[EpochAccuracy], split: CurveSplit) -> Rise | None:
    """How much the robust accuracy of a split still rises over the last quarter of the epochs; None if unknown."""
    points = points_of(curve, split)
    if len(points) < 2 or len({point.examples for point in points}) > 1:
        return None
    return rise_at_end([point.epoch for point in points], unpack_all([point.robust for point in points]).T)
