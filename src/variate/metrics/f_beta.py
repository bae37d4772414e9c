"""Precision and recall of each class in one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Weighted, check_between
from variate.metrics.parts.counts import Counts, counted, ratio
from variate.metrics.parts.problems import ClassMetric, Problem, mean_of_defined
from variate.registry import metric


@metric(tasks=("classes", "binary", "labels"), better="high", needs="answers", cite="van Rijsbergen 1979")
@dataclass(frozen=True)
class FBeta(ClassMetric):
    """The F score: the weighted harmonic mean of precision and recall.

    With two classes it is that of class 1, otherwise the mean over the classes in the labels or the answers (macro F).

    Attributes:
        beta: how many times as much recall counts as precision.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        check_between(self, "beta", 0, math.inf)

    def function(self, problem: Problem) -> Weighted:
        """The score: (1 + b^2) right / (b^2 labeled + answered)."""

        def finish(counts: Counts) -> Floats:
            square = self.beta**2
            scores = ratio((1 + square) * counts.right, square * counts.labeled + counts.answered)  # (b, K)
            if problem.classes > 2:
                return mean_of_defined(scores.T)
            return np.nan_to_num(scores[:, 1], nan=0.0)  # no example and no answer of class 1

        return counted(problem, finish)
