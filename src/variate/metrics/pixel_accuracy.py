"""The share of positions that are right, over the whole data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Metric, Prepared
from variate.metrics.parts.maps import corpus
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("positions",), better="high", needs="answers", cite="")
@dataclass(frozen=True)
class PixelAccuracy(Metric):
    """The share of the positions that count whose class is right.

    Where most positions are background, a network that answers nothing else reaches a high share.
    """

    def prepared(self, given: Responses) -> Prepared:
        """The share."""
        return corpus(given, lambda counts: np.asarray(counts.right.sum(1) / counts.labeled.sum(1)))
