"""The uniform distribution: bounded noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.random.distribution import LocationScale
from variate.random.noise.kinds import Kind
from variate.registry import family


@family(random=True, cite="")
@dataclass(frozen=True)
class Uniform(LocationScale):
    """Uniform on mean +- sqrt(3) * scale: draws are bounded."""

    kind: ClassVar[Kind] = "uniform"

    def unit_entropy(self) -> float:
        return math.log(2 * math.sqrt(3))
