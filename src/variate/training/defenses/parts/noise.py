"""Noise from torch's global generator: one draw per example in training, one per batch in eval mode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.random.reseeding import reseed_after_fork

reseed_after_fork()


def drawn_shape(x: Tensor, training: bool) -> torch.Size:
    """The shape of the noise for a batch: in eval mode all examples share it.

    So a draw of the network is a function of the input alone, whatever the batch. In training every example has its own
    noise, which reduces the variance of the gradient.
    """
    return x.shape if training else x.shape[1:]


class GaussianNoise(nn.Module):
    """Adds Gaussian noise, in train and in eval mode.

    Args:
        std: standard deviation of the noise, above 0.
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to inputs of shape (B, ...)."""
        return x + self.std * torch.randn(drawn_shape(x, self.training), dtype=x.dtype, device=x.device)


class LastingDropout(nn.Module):
    """Dropout that stays on in eval mode.

    Args:
        rate: probability that a feature is zeroed, in (0, 1); the others are divided by 1 - rate.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero some of the features, shape (B, ...)."""
        kept = torch.rand(drawn_shape(x, self.training), dtype=x.dtype, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)
