"""How many of the examples that are ranked high are of the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.problems import ClassMetric, Problem
from variate.metrics.parts.ranks import ranked
from variate.registry import metric


@metric(
    tasks=("classes", "binary", "labels"),
    better="high",
    needs="probabilities",
    cite="Davis & Goadrich 2006",
)
@dataclass(frozen=True)
class AveragePrecision(ClassMetric):
    """The precision at each threshold, weighted by the recall that it adds; of several classes, the mean.

    Unlike the area under the receiver operating characteristic it falls where a class is rare and many others are
    ranked as high; answers by chance reach the share of the class.
    """

    def function(self, problem: Problem) -> Weighted:
        """The average precision."""
        return ranked(problem, self, _average)


def _average(true: Floats, false: Floats) -> Floats:
    precision = ratio(true, true + false, 0.0)
    return np.asarray((np.diff(true, axis=0, prepend=0.0) * precision).sum(0) / true[-1])
