"""The share of the variance of the labels that is explained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.errors import InputError
from variate.metrics.metric import Floats, Metric, Prepared
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.numbers import finite_errors, mean_of_numbers
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("regression",), better="high", needs="answers", cite="")
@dataclass(frozen=True)
class R2(Metric):
    """The coefficient of determination: 1 - the sum of squared errors / the sum of squares around the mean label.

    1 if every answer is right, 0 if answers are no better than the mean label, below 0 if they are worse; of several
    numbers, the mean.
    """

    bounds: ClassVar[tuple[float, float]] = (-math.inf, 1.0)

    def prepared(self, given: Responses) -> Prepared:
        """The coefficient."""
        error, right = finite_errors(self, given)
        if not (np.ptp(right, axis=0) > 0).all():
            raise InputError(
                "all labels are the same number: r2 compares errors with their variance, and is undefined",
                todo="evaluate examples with different labels, or choose another metric",
            )
        y = np.broadcast_to(right - right.mean(0), error.shape)  # centered, against cancellation
        rows = np.stack([np.square(error), y, np.square(y), np.ones_like(y)], -1)

        def finish(sums: Floats) -> Floats:
            squares, first, second, weight = np.moveaxis(sums, -1, 0)
            return 1 - ratio(squares, second - first**2 / weight)

        return Prepared(mean_of_numbers(rows, finish))
