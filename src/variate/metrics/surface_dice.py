"""The share of boundaries that are where they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Mean, check_between, check_truth
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.maps import check_two_dimensions, maps, surface_distances
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("positions",), better="high", needs="answers", cite="Nikolov et al. 2018, arXiv:1809.04430")
@dataclass(frozen=True)
class SurfaceDice(Mean):
    """The normalized surface distance: the share of both boundaries that is within a tolerance of the other.

    The mean over the classes in the labels or the answer of an example, then over examples; a class that is only in one
    of them counts as 0, and an example without any as 1.

    Attributes:
        tolerance: distance that is accepted, in pixels.
        background: whether class 0 counts.
    """

    tolerance: float = 1.0
    background: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        check_between(self, "tolerance", 0, math.inf)
        check_truth(self, "background")

    def shares(self, given: Responses) -> Floats:
        """The share of each answer, (G, N)."""
        found = maps(given)
        check_two_dimensions(found, self)
        total, classes = np.zeros(found.answers.shape[:2]), np.zeros(found.answers.shape[:2])
        for place, answered, labeled in found.masks(0 if self.background else 1):
            classes[place] += 1
            if answered.any() and labeled.any():
                distances = np.concatenate(surface_distances(answered, labeled))
                total[place] += (distances <= self.tolerance).mean()
        return ratio(total, classes, 1.0)
