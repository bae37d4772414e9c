"""How far two draws are apart."""

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
    cite="Malinin & Gales 2021, arXiv:2002.07650",
)
@dataclass(frozen=True)
class ExpectedPairwiseKl(Disagreement):
    """The mean KL divergence of two different draws that answer together, in nats; the mean over examples.

    0 where all draws agree, at least ``mutual-information``, and without bounds. Its expectation does not depend on the
    number of draws.
    """

    def quantity(self, parts: ByDraw) -> Tensor:
        """The mean divergence of each answer from the others."""
        return parts.apart
