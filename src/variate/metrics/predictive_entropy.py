"""How uncertain the mean of the draws is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from variate.metrics.parts.disagreement import Disagreement
from variate.random.uncertainty import ByDraw
from variate.registry import metric


@metric(tasks=("classes", "binary", "labels"), better="", needs="probabilities", cite="Shannon 1948")
@dataclass(frozen=True)
class PredictiveEntropy(Disagreement):
    """The entropy of the mean probability over the draws that answer together, in nats; the mean over examples.

    From 0 to log K for K classes; over several labels, the mean of each label's. Part of it is disagreement between
    draws, ``mutual-information``; the rest is the mean entropy of single draws.
    """

    def quantity(self, parts: ByDraw) -> Tensor:
        """The cross-entropy of each answer with the mean, whose mean is the entropy of that."""
        return parts.entropy
