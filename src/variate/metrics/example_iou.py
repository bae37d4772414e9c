"""The overlap of answered and labeled positions, example by example."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Mean
from variate.metrics.parts.counts import ratio
from variate.metrics.parts.maps import counts_of
from variate.metrics.parts.problems import mean_of_defined
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("positions",), better="high", needs="answers", cite="Csurka et al. 2013")
@dataclass(frozen=True)
class ExampleIoU(Mean):
    """Intersection over union, averaged over the classes in the labels or the answer of an example, then over examples.

    Every example counts the same, however large its objects are. It is the score of the task positions.
    """

    def shares(self, given: Responses) -> Floats:
        """The mean intersection over union of each answer, (G, N)."""
        right, answered, labeled = np.moveaxis(counts_of(given), 2, 0)  # (G, N, K) each
        overlap = ratio(right, answered + labeled - right)
        return mean_of_defined(np.moveaxis(overlap, -1, 0))
