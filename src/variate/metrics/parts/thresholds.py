"""Answers of two classes under a threshold on the probability of class 1 that was chosen on other examples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from variate.errors import InputError, UsageError
from variate.metrics.metric import Floats, Weighted, check_between, name_of, written
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.problems import ClassMetric, Problem, problems, statistic
from variate.metrics.responses import Responses


@dataclass(frozen=True)
class Thresholded(ClassMetric):
    """The share of the examples of one class whose probability of class 1 is above a threshold.

    Attributes:
        fpr: largest share of class 0 above the threshold on the examples that it is chosen on.
        threshold: the threshold; chosen on the validation split by commands and studies, and in Python by
            ``variate.with_thresholds``.
    """

    fpr: float = 0.01
    threshold: float | None = None

    of_class: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Check the options."""
        check_between(self, "fpr", 0, 1)
        if self.threshold is not None and (
            isinstance(self.threshold, bool)
            or not isinstance(self.threshold, int | float)
            or not 0 <= self.threshold <= 1
        ):
            raise UsageError(
                f"threshold of {name_of(self)} is {self.threshold!r}", expected="a probability from 0 to 1"
            )

    @property
    def title(self) -> str:
        """The name without the threshold, which differs between networks."""
        return written(replace(self, threshold=None))

    @property
    def because(self) -> str:
        """The threshold."""
        return "" if self.threshold is None else f"class 1 above a probability of {self.threshold:.4g}"

    def function(self, problem: Problem) -> Weighted:
        """The share."""
        check_two(self, problem)
        if self.threshold is None:
            raise UsageError(
                f"{name_of(self)} has no threshold: one that is chosen on the examples it is measured on flatters it",
                expected=f"a threshold that was chosen on validation data, as in {name_of(self)}(threshold=0.9)",
                todo="variate.with_thresholds(metrics, network, x, y) on the validation split; commands and studies do "
                "it by themselves for their own data",
            )
        ours = np.broadcast_to(problem.labels == self.of_class, problem.answers.shape)
        above = problem.chances()[..., 1] > self.threshold
        return statistic(np.stack([ours & above, ours], -1), _share)

    def chosen(self, given: Responses) -> Thresholded:
        """The same metric with the lowest threshold that at most a share ``fpr`` of the answers to class 0 exceed.

        Raises:
            InputError: without examples of class 0.
            UsageError: for other problems than one of two classes.
        """
        (problem,) = problems(given, probabilities=True)
        check_two(self, problem)
        others = problem.labels[: problem.real] == 0
        scores = np.sort(problem.chances()[:, : problem.real, 1][:, others].reshape(-1))[::-1]  # falling
        if not len(scores):
            raise InputError(
                f"no example of class 0 is there to choose the threshold of {name_of(self)} on",
                todo="pass validation examples of both classes",
            )
        return replace(self, threshold=float(scores[int(self.fpr * len(scores) * (1 + 1e-9))]))


def check_two(metric: ClassMetric, problem: Problem) -> None:
    """Check that a problem has two classes. Raises ``UsageError``."""
    if problem.classes != 2:
        raise UsageError(f"{name_of(metric)} is for two classes, and the network has {problem.classes}")


def _share(sums: Floats) -> Floats:
    return ratio(sums[:, 0], sums[:, 1])
