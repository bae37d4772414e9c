"""Inputs of any shape viewed as images: channels, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor


def plane_of(shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width of an input's shape (..., H, W); an input of shape (D,) is one row of D values.

    Args:
        shape: shape of one input, without the batch dimension.
    """
    *channels, height, width = [1] * (2 - len(shape)) + list(shape)
    return prod(channels), height, width


def as_plane(points: Tensor) -> Tensor:
    """Inputs of shape (N, ...) as images of shape (N, C, H, W)."""
    return points.reshape(-1, *plane_of(points.shape[1:]))
