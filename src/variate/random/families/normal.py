"""The Gaussian: the family of most Bayesian networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.random.distribution import LocationScale
from variate.random.noise.kinds import Kind
from variate.registry import family


@family(random=True, cite="Graves 2011; Blundell et al. 2015, arXiv:1505.05424")
@dataclass(frozen=True)
class Normal(LocationScale):
    """Gaussian: w = mean + scale * z, z ~ N(0, 1)."""

    kind: ClassVar[Kind] = "normal"

    def unit_entropy(self) -> float:
        return math.log(2 * math.pi * math.e) / 2
