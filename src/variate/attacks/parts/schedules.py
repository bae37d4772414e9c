"""Step size schedules."""

from __future__ import annotations

import math


def cosine(first: float, last: float, step: int, steps: int) -> float:
    """Decay from ``first`` at step 0 to ``last`` at step ``steps`` along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
