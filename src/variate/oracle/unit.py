"""The unit of a network's logits: losses of very small ones are told apart only in another unit."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LEAST = 1e-2  # range of logits below which float32 cannot tell their cross-entropies apart


class Unit:
    """Scales the logits of one oracle by the same factor; the first logits decide on it."""

    def __init__(self) -> None:
        self._factor: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        """Logits, (..., K), in the unit in which losses are taken."""
        if self._factor is None:
            self._factor = unit_of(logits)
        return logits if self._factor in (None, 1.0) else logits * self._factor


def unit_of(logits: Tensor) -> float | None:
    """The factor, a power of two, that brings very small logits, (..., K), to a range of at least .01; 1 for others.

    None where all logits of every row are equal, which says nothing of their unit.
    """
    values = logits.detach()
    low = values.masked_fill(values.isinf(), torch.inf).amin(-1)
    size = float((values.amax(-1) - low).amax()) if values.numel() else 0.0
    if not 0 < size < math.inf:
        return None
    return 2.0 ** math.ceil(math.log2(max(LEAST / size, 1.0)))
