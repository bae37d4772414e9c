"""Numbers in the unit of the labels, from a network whose last layer returns them with mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Rescaled(nn.Module):
    """mean + std * network(x): a network that returns numbers, in the unit of the training split's labels.

    Args:
        network: from inputs (B, ...) to (B, Q).
        mean: means of the Q numbers in the training split.
        std: their standard deviations, above 0.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))  # (Q,)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))  # (Q,)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers of shape (B, Q)."""
        numbers: Tensor = self.mean + self.std * self.network(x)
        return numbers
