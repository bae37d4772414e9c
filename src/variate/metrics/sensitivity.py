"""How many examples of a class are found, at a fixed rate of false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Weighted, check_between
from variate.metrics.parts.problems import ClassMetric, Problem
from variate.metrics.parts.ranks import ranked
from variate.registry import metric

ROUNDING = 1e-9


@metric(
    tasks=("classes", "binary", "labels"),
    better="high",
    needs="probabilities",
    cite="Maier-Hein et al. 2024, arXiv:2206.01653",
)
@dataclass(frozen=True)
class Sensitivity(ClassMetric):
    """The largest share of class 1 that a threshold finds at a fixed false-positive rate; of several classes, the mean.

    Attributes:
        fpr: largest share of the other examples that may be taken for the class.
    """

    fpr: float = 0.05

    def __post_init__(self) -> None:
        """Check the options."""
        check_between(self, "fpr", 0, 1)

    def function(self, problem: Problem) -> Weighted:
        """The sensitivity."""

        def finish(true: Floats, false: Floats) -> Floats:
            allowed = false <= (self.fpr + ROUNDING) * false[-1]
            return np.asarray(np.where(allowed, true, 0.0).max(0) / true[-1])

        return ranked(problem, self, finish)
