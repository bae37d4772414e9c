"""Normalization as the first layer, so that attacks and budgets live in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """(x - mean) / std per channel; nothing here is learned or random.

    Args:
        mean: one value per channel, or one for all.
        std: one value per channel, or one for all, above 0.
        axes: number of dimensions of an input after its channels: 2 for images, 0 for rows of features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], axes: int = 2) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, *[1] * axes))  # (C, 1, 1)
        self.register_buffer("std", torch.tensor(std).view(-1, *[1] * axes))  # (C, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalize inputs of shape (B, C, ...)."""
        return (x - self.mean) / self.std
