"""The share of small objects that are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.errors import InputError
from variate.metrics.metric import Floats, Metric, Prepared, check_between
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.maps import maps
from variate.metrics.parts.objects import objects_of
from variate.metrics.parts.problems import statistic
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(
    tasks=("positions",),
    better="high",
    needs="answers",
    cite="Maier-Hein et al. 2024, arXiv:2206.01653",
)
@dataclass(frozen=True)
class SmallObjects(Metric):
    """The share of the small objects in the labels of which enough positions are answered with their class.

    An object is a connected region of one class other than 0. Overlap over the data set hardly changes where small
    objects are missed.

    Attributes:
        share: largest share of the positions of an example that a small object has.
        overlap: least share of its positions that must be right.
    """

    share: float = 0.01
    overlap: float = 0.5

    def __post_init__(self) -> None:
        """Check the options."""
        check_between(self, "share", 0, 1)
        check_between(self, "overlap", 0, 1)

    def prepared(self, given: Responses) -> Prepared:
        """The share that is found."""
        found = maps(given)
        rows = np.zeros((*found.answers.shape[:2], 2))  # found, all
        for example, labels in enumerate(found.labels):
            right = (found.answers[:, example] == labels).reshape(len(found.answers), -1)  # (G, P)
            for where in objects_of(labels):
                if len(where) <= self.share * labels.size:
                    rows[:, example, 0] += right[:, where].mean(1) >= self.overlap
                    rows[:, example, 1] += 1
        if not rows.any():
            raise InputError(
                f"no object covers {self.share:g} of an example or less: small-objects is undefined",
                todo="raise its share, or choose another metric",
            )

        def finish(sums: Floats) -> Floats:
            return ratio(sums[:, 0], sums[:, 1])

        return Prepared(statistic(rows, finish))
