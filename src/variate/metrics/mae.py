"""The mean absolute error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.metrics.metric import Metric, Prepared, weighted_mean
from variate.metrics.parts.numbers import finite_errors
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("regression",), better="low", needs="answers", cite="")
@dataclass(frozen=True)
class MAE(Metric):
    """The mean absolute error, in the unit of the labels; of several numbers, the mean."""

    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def prepared(self, given: Responses) -> Prepared:
        """The mean error."""
        return Prepared(weighted_mean(np.abs(finite_errors(self, given)[0]).mean(-1)))
