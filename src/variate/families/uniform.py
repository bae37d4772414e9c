"""The uniform distribution: bounded noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from variate.distribution import LocationScale
from variate.registry import family
from variate.samplers.kinds import Kind


@family(random=True, cite="")
@dataclass(frozen=True)
class Uniform(LocationScale):
    """Uniform on mean +- sqrt(3) * scale: no draw is farther from the mean than that."""

    kind: ClassVar[Kind] = "uniform"

    def unit_entropy(self) -> float:
        return math.log(2 * math.sqrt(3))
