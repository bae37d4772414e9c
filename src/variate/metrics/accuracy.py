"""The share of right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.metrics.metric import Floats, Mean
from variate.metrics.parts.problems import problems
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("classes", "binary", "labels"), better="high", needs="answers", cite="")
@dataclass(frozen=True)
class Accuracy(Mean):
    """The share of right answers; over several labels, the mean of each label's.

    Where one class is frequent, a network that always answers it reaches a high accuracy.
    """

    all_or_nothing: ClassVar[bool] = True

    def shares(self, given: Responses) -> Floats:
        """Whether each answer is right, or the share of its labels that are."""
        right = np.stack([problem.answers == problem.labels for problem in problems(given)])  # (L, G, E)
        return np.asarray(right.mean(0, dtype=np.float64)[:, : len(given.y)])
