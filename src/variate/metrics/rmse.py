"""The root of the mean squared error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.metrics.metric import Floats, Metric, Prepared
from variate.metrics.parts.numbers import finite_errors, mean_of_numbers
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("regression",), better="low", needs="answers", cite="")
@dataclass(frozen=True)
class RMSE(Metric):
    """The root mean squared error, in the unit of the labels, in which large errors weigh more."""

    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def prepared(self, given: Responses) -> Prepared:
        """The root of the mean of squares."""
        squares = np.square(finite_errors(self, given)[0])

        def finish(sums: Floats) -> Floats:
            return np.sqrt(sums[..., 0] / sums[..., 1])

        return Prepared(mean_of_numbers(np.stack([squares, np.ones_like(squares)], -1), finish))
