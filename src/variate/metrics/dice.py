"""Precision and recall of the positions of each class, over the whole data set."""

from __future__ import annotations

from dataclasses import dataclass

from variate.metrics.metric import Floats, Metric, Prepared, check_truth
from variate.metrics.parts.counts import Counts, ratio
from variate.metrics.parts.maps import corpus
from variate.metrics.parts.problems import mean_of_defined
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("positions",), better="high", needs="answers", cite="Dice 1945")
@dataclass(frozen=True)
class Dice(Metric):
    """Dice: 2 right / (answered + labeled) positions of a class, averaged over the classes.

    It orders networks as the intersection over union does for one class, and is never below it. Positions of all
    examples are counted together; classes that are neither answered nor labeled are left out.

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
            return mean_of_defined(ratio(2 * counts.right, counts.answered + counts.labeled)[:, start:].T)

        return corpus(given, finish)
