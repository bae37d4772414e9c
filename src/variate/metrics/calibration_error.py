"""How far confidence is from accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.errors import UsageError
from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.problems import ClassMetric, Problem, statistic
from variate.registry import metric


@metric(
    tasks=("classes", "binary", "labels"),
    better="low",
    needs="probabilities",
    cite="Guo et al. 2017, arXiv:1706.04599",
)
@dataclass(frozen=True)
class CalibrationError(ClassMetric):
    """The expected calibration error: the mean distance between confidence and accuracy, over bins of equal width.

    Confidence is the highest probability of an answer. Chance inflates the error, the more so with fewer examples; the
    interval is reflected about the estimate, which takes that out. The reliability diagram of a report has bins with
    equal numbers of examples, and its error can differ a little.

    Attributes:
        bins: number of bins.
    """

    biased: ClassVar[bool] = True

    bins: int = 15

    def __post_init__(self) -> None:
        """Check the options."""
        if isinstance(self.bins, bool) or self.bins != int(self.bins) or not 1 <= self.bins <= 1000:
            raise UsageError(f"bins of calibration-error is {self.bins!r}", expected="a whole number from 1 to 1000")

    def function(self, problem: Problem) -> Weighted:
        """The error: the sum over bins of |confidence - accuracy|, weighted by their answers."""
        confidence = problem.chances().max(-1)  # (G, E)
        bins = int(self.bins)
        place = np.minimum((np.ceil(confidence * bins) - 1).clip(0), bins - 1).astype(np.int64)
        gap = confidence - (problem.answers == problem.labels)
        inside = np.eye(bins + 1)[place]  # (G, E, bins + 1)
        rows = inside * gap[..., None]
        rows[..., bins] = 1.0

        def finish(sums: Floats) -> Floats:
            return np.asarray(np.abs(sums[:, :bins]).sum(1) / sums[:, bins])

        return statistic(rows, finish)
