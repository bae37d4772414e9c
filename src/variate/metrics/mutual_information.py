"""How much of the uncertainty is disagreement between draws."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from variate.metrics.parts.disagreement import Disagreement
from variate.random.uncertainty import ByDraw
from variate.registry import metric


@metric(
    tasks=("classes", "binary", "labels"),
    better="",
    needs="probabilities",
    cite="BALD: Houlsby et al. 2011, arXiv:1112.5745",
)
@dataclass(frozen=True)
class MutualInformation(Disagreement):
    """The mutual information of answer and draw in nats, over the draws that answer together; the mean over examples.

    H(mean p) - mean H(p): 0 where all draws agree, at most ``predictive-entropy`` and log S of S draws. That of few
    draws is below that of many.
    """

    def quantity(self, parts: ByDraw) -> Tensor:
        """The divergence of each answer from the mean."""
        return parts.shared
