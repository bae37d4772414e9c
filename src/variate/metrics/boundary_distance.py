"""How far boundaries are from where they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.metrics.metric import Metric, Prepared, check_truth, weighted_mean
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.maps import check_two_dimensions, maps, surface_distances
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(
    tasks=("positions",),
    better="low",
    needs="answers",
    cite="Heimann et al. 2009",
)
@dataclass(frozen=True)
class BoundaryDistance(Metric):
    """The average symmetric surface distance, in pixels: the mean distance of both boundaries from each other.

    The mean over the classes in the labels or the answer of an example, then over examples; a class that is only in one
    of them counts as the diagonal of the image, and an example without any as 0.

    Attributes:
        background: whether class 0 counts.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    background: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        check_truth(self, "background")

    def prepared(self, given: Responses) -> Prepared:
        """The mean distance."""
        found = maps(given)
        check_two_dimensions(found, self)
        total, classes = np.zeros(found.answers.shape[:2]), np.zeros(found.answers.shape[:2])
        diagonal = math.hypot(*found.labels.shape[1:])
        for place, answered, labeled in found.masks(0 if self.background else 1):
            classes[place] += 1
            both = answered.any() and labeled.any()
            total[place] += np.concatenate(surface_distances(answered, labeled)).mean() if both else diagonal
        return Prepared(weighted_mean(ratio(total, classes, 0.0)))
