"""How many errors remain if the least certain answers are withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from variate.errors import unknown_name
from variate.metrics.metric import Floats, Metric, Prepared
from variate.metrics.parts.disagreement import disagreement, own_entropy
from variate.metrics.parts.problems import check_probabilities, problems
from variate.metrics.parts.ranks import by_threshold
from variate.metrics.responses import Responses
from variate.registry import metric

By = Literal["confidence", "entropy", "mutual-information"]


@metric(
    tasks=("classes", "binary"), better="low", needs="probabilities", cite="Geifman & El-Yaniv 2017, arXiv:1705.08500"
)
@dataclass(frozen=True)
class Aurc(Metric):
    """The area under the risk-coverage curve: the mean error rate of the answers that are given, over all thresholds.

    If the least certain answers are withheld, a share of the others is wrong, the selective risk; that is averaged over
    the thresholds at each answer, of which equal ones share one. No threshold is chosen. It is 0 without errors, and
    about the error rate if nothing tells errors from right answers.

    Attributes:
        by: what is withheld first: answers of low ``confidence``, of high ``entropy``, or inputs with a high
            ``mutual-information`` of the draws that answer together (for single draws, of all that are measured).
    """

    by: By = "confidence"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.by not in get_args(By):
            raise unknown_name("score of aurc", self.by, get_args(By))

    def prepared(self, given: Responses) -> Prepared:
        """The area, as a function of weights."""
        check_probabilities(self, given)
        problem = problems(given, probabilities=True)[0]
        real = slice(0, problem.real)
        right = (problem.answers == problem.labels)[:, real]
        return Prepared(by_threshold(self._certainty(given), right, _area, real=problem.real, both=False))

    def _certainty(self, given: Responses) -> Floats:
        """A score of every answer, (G, N), high for those that are given first."""
        if self.by == "entropy":
            return -own_entropy(given)
        if self.by == "mutual-information":
            shared = disagreement(given).shared
            together = shared if given.members is not None else shared.mean(0, keepdim=True).expand_as(shared)
            return -together.numpy()
        return np.asarray(problems(given, probabilities=True)[0].chances()[:, : len(given.y)].max(-1))


def _area(right: Floats, wrong: Floats) -> Floats:
    """The mean selective risk, from the weights of right and wrong answers at every threshold, (T, b) each."""
    answered = right + wrong
    risk = np.divide(wrong, answered, out=np.zeros_like(wrong), where=answered > 0)
    return np.asarray((np.diff(answered, axis=0, prepend=0.0) * risk).sum(0) / answered[-1])
