"""The logistic distribution: a bell with tails between those of the Gaussian and the Laplace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.random.distribution import LocationScale
from variate.random.noise.kinds import Kind
from variate.registry import family


@family(random=True, cite="")
@dataclass(frozen=True)
class Logistic(LocationScale):
    """Logistic: w = mean + scale * z, z = sqrt(3) / pi * log(u / (1 - u)), u uniform in (0, 1)."""

    kind: ClassVar[Kind] = "logistic"

    def unit_entropy(self) -> float:
        return 2 + math.log(math.sqrt(3) / math.pi)
