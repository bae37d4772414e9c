"""How well probabilities rank the examples of a class above the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.problems import ClassMetric, Problem
from variate.metrics.parts.ranks import ranked
from variate.registry import metric


@metric(
    tasks=("classes", "binary", "labels"),
    better="high",
    needs="probabilities",
    cite="Hanley & McNeil 1982",
)
@dataclass(frozen=True)
class AUROC(ClassMetric):
    """The area under the receiver operating characteristic.

    The probability that an example of class 1 is given a higher probability of class 1 than one of class 0, ties
    counting half; with several classes, the mean over the classes of each against the rest.
    """

    def function(self, problem: Problem) -> Weighted:
        """The area."""
        return ranked(problem, self, _area)


def _area(true: Floats, false: Floats) -> Floats:
    heights = true.copy()
    heights[1:] += true[:-1]
    return np.asarray((np.diff(false, axis=0, prepend=0.0) * heights).sum(0) / (2 * true[-1] * false[-1]))
