"""Accuracy as if every class were equally frequent."""

from __future__ import annotations

from dataclasses import dataclass

from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.counts import Counts, counted, ratio
from variate.metrics.parts.problems import ClassMetric, Problem, mean_of_defined
from variate.registry import metric


@metric(tasks=("classes", "binary", "labels"), better="high", needs="answers", cite="Brodersen et al. 2010")
@dataclass(frozen=True)
class BalancedAccuracy(ClassMetric):
    """The share of right answers within each class, averaged over the classes in the labels.

    A network that always gives the same answer reaches 1 / K with K classes, however frequent that class is.
    """

    def function(self, problem: Problem) -> Weighted:
        """The mean recall."""
        return counted(problem, _mean_recall)


def _mean_recall(counts: Counts) -> Floats:
    return mean_of_defined(ratio(counts.right, counts.labeled).T)
