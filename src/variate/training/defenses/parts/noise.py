"""Noise that is drawn by torch's global generator: one draw for each example in training, one for all in eval mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def drawn_shape(x: Tensor, training: bool) -> torch.Size:
    """The shape of the noise for a batch: in eval mode all examples share it.

    So a draw of the network is one function of an input, whatever batch that input stands in. Every example has its
    own in training, where the gradient is the better for it.
    """
    return x.shape if training else x.shape[1:]


class GaussianNoise(nn.Module):
    """Adds Gaussian noise, in train and in eval mode.

    Args:
        std: its standard deviation, above 0.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...), with noise."""
        return x + self.std * torch.randn(drawn_shape(x, self.training), dtype=x.dtype, device=x.device)


class LastingDropout(nn.Module):
    """Dropout that stays on in eval mode.

    Args:
        rate: the chance of a feature to be zeroed, in (0, 1); the others are divided by 1 - rate.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Features of shape (B, ...), some of them zero."""
        kept = torch.rand(drawn_shape(x, self.training), dtype=x.dtype, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)
