"""How step sizes fall."""

from __future__ import annotations

import math


def cosine(first: float, last: float, step: int, steps: int) -> float:
    """From the first value at step 0 to the last at the number of steps, along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2
