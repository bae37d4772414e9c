"""The squared distance of probabilities from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Mean
from variate.metrics.parts.problems import check_probabilities, problems
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("classes", "binary", "labels"), better="low", needs="probabilities", cite="Brier 1950")
@dataclass(frozen=True)
class Brier(Mean):
    """The Brier score: the squared distance between probabilities and label, which rewards honest probabilities.

    With two classes the mean of (p - y)^2, from 0 to 1; with several the sum over the classes, from 0 to 2; over
    several labels, the mean of each label's.
    """

    def shares(self, given: Responses) -> Floats:
        """Half the squared distance of each answer, (G, N)."""
        check_probabilities(self, given)
        found = problems(given, probabilities=True)
        distances = [np.square(one.chances() - np.eye(one.classes)[one.labels]).sum(-1) / 2 for one in found]
        return np.asarray(np.mean(distances, axis=0)[:, : len(given.y)].clip(0, 1))

    def largest(self, given: Responses) -> float:
        """1 for two classes and for labels, 2 for more classes."""
        return 2.0 if problems(given)[0].classes > 2 else 1.0
