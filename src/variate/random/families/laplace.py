"""The Laplace distribution: heavier tails and a sharper peak than the Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.random.distribution import LocationScale
from variate.random.noise.kinds import Kind
from variate.registry import family


@family(random=True, cite="Laplace 1774; as a distribution of weights: Williams 1995, Neural Computation 7(1)")
@dataclass(frozen=True)
class Laplace(LocationScale):
    """Laplace: w = mean + scale * z, z of density exp(-sqrt(2) |z|) / sqrt(2)."""

    kind: ClassVar[Kind] = "laplace"

    def unit_entropy(self) -> float:
        return 1 + math.log(math.sqrt(2))
