"""The share of numbers that are right within a tolerance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.errors import UsageError
from variate.metrics.metric import Floats, Mean, check_between
from variate.metrics.parts.numbers import errors
from variate.metrics.responses import Responses
from variate.registry import metric
from variate.tasks.regression import Regression


@metric(tasks=("regression",), better="high", needs="answers", cite="")
@dataclass(frozen=True)
class WithinTolerance(Mean):
    """The share of numbers whose error is at most the tolerance.

    Attributes:
        tolerance: largest error that is accepted, in the unit of the labels; by default that of the task.
    """

    all_or_nothing: ClassVar[bool] = True

    tolerance: float | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if self.tolerance is not None:
            check_between(self, "tolerance", 0, math.inf)

    def shares(self, given: Responses) -> Floats:
        """The share of the numbers of each answer, (G, N)."""
        if not isinstance(given.task, Regression):
            raise UsageError("within-tolerance measures the task regression")
        tolerance = given.task.tolerance if self.tolerance is None else self.tolerance
        return np.asarray((np.abs(errors(given)[0]) <= tolerance).mean(-1))
