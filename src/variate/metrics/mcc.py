"""The correlation between answers and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.counts import Counts, counted, ratio
from variate.metrics.parts.problems import ClassMetric, Problem
from variate.registry import metric


@metric(
    tasks=("classes", "binary", "labels"),
    better="high",
    needs="answers",
    cite="Matthews 1975; several classes: Gorodkin 2004",
)
@dataclass(frozen=True)
class MCC(ClassMetric):
    """The Matthews correlation coefficient: 1 if all answers are right, 0 if they tell nothing of the labels.

    With c right of s answers, and of each class k the numbers of answers a_k and of examples t_k:
    (c s - sum a_k t_k) / sqrt((s^2 - sum a_k^2) (s^2 - sum t_k^2)); 0 where the divisor is.
    """

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def function(self, problem: Problem) -> Weighted:
        """The coefficient."""
        return counted(problem, _correlation)


def _correlation(counts: Counts) -> Floats:
    size, right = counts.labeled.sum(1), counts.right.sum(1)
    shared = right * size - (counts.answered * counts.labeled).sum(1)
    spread = [np.maximum(size**2 - np.square(part).sum(1), 0.0) for part in (counts.answered, counts.labeled)]
    return ratio(shared, np.sqrt(spread[0] * spread[1]), 0.0)
