"""The spread of numbers to predict, by which a network returns them in their own unit."""

from __future__ import annotations

from torch import Tensor


def target_of(y: Tensor) -> dict[str, list[float]]:
    """Mean and standard deviation of the numbers of a training split, shape (N,) or (N, Q)."""
    numbers = y.reshape(len(y), -1).double()
    mean, std = numbers.mean(0), numbers.std(0)
    return {"mean": mean.tolist(), "std": std.where(std > 0, 1.0).tolist()}
