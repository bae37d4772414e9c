"""The overlap of answered and labeled positions, over the whole data set."""

from __future__ import annotations

from dataclasses import dataclass

from variate.metrics.metric import Floats, Metric, Prepared, check_truth
from variate.metrics.parts.counts import Counts, ratio
from variate.metrics.parts.maps import corpus
from variate.metrics.parts.problems import mean_of_defined
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("positions",), better="high", needs="answers", cite="Everingham et al. 2010")
@dataclass(frozen=True)
class MeanIoU(Metric):
    """Intersection over union: right / (answered + labeled - right) positions of a class, averaged over the classes.

    Positions of all examples are counted together, so that large objects count more; classes that are neither answered
    nor labeled are left out.

    Attributes:
        background: whether class 0 counts.
    """

    background: bool = True

    def __post_init__(self) -> None:
        """Check the options."""
        check_truth(self, "background")

    def prepared(self, given: Responses) -> Prepared:
        """The mean over the classes."""
        start = 0 if self.background else 1

        def finish(counts: Counts) -> Floats:
            overlap = ratio(counts.right, counts.answered + counts.labeled - counts.right)
            return mean_of_defined(overlap[:, start:].T)

        return corpus(given, finish)
