"""Layers that defenses wrap around those of a network: noise of learned size, which objectives read."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.random.reseeding import reseed_after_fork

reseed_after_fork()


class Surrounded(nn.Module):
    """A layer with a module in front of it, behind it, or both; other attributes are those of the layer.

    Args:
        layer: a layer of the network with one input.
        front: module applied to its input.
        behind: module applied to its output.
    """

    def __init__(self, layer: nn.Module, *, front: nn.Module | None = None, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.front = front
        self.layer = layer
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        """The output of the wrapped layer."""
        x = x if self.front is None else self.front(x)
        x = self.layer(x)
        return x if self.behind is None else self.behind(x)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "layer" or name.startswith("_"):
                raise
            return getattr(super().__getattr__("layer"), name)


class LearnedNoise(nn.Module):
    """Gaussian noise with one learned standard deviation per channel, drawn once for the whole batch.

    std = floor + softplus(rho). The noise is on in train and in eval mode.

    Args:
        like: a tensor with the dtype and device of the parameters.
        channels: number of channels, C.
        std: initial standard deviation, above ``floor``.
        floor: smallest standard deviation, at least 0.
    """

    def __init__(self, like: Tensor, channels: int, *, std: float, floor: float) -> None:
        super().__init__()
        self.floor = floor
        self.rho = nn.Parameter(like.new_full((channels, 1, 1), math.log(math.expm1(std - floor))))

    @property
    def std(self) -> Tensor:
        """The standard deviation of every channel, differentiable: (C, 1, 1)."""
        return self.floor + F.softplus(self.rho)

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to features of shape (B, C, H, W)."""
        return x + self.std * torch.randn(x.shape[1:], dtype=x.dtype, device=x.device)


class CorrelatedNoise(nn.Module):
    """Gaussian noise with a learned covariance Sigma = L L^T, drawn once for the whole batch.

    L is the lower triangle of a learned square matrix whose entries start uniform between 0 and ``size``. The noise
    is on in train and in eval mode.

    Args:
        like: a tensor with the dtype and device of the parameters.
        features: number of features, D.
        size: largest initial entry of L, above 0.
    """

    def __init__(self, like: Tensor, features: int, *, size: float) -> None:
        super().__init__()
        start = size * torch.rand(features, features, dtype=like.dtype)
        self.square = nn.Parameter(start.tril().to(like.device))

    @property
    def factor(self) -> Tensor:
        """L, differentiable: (D, D), zero above the diagonal."""
        return self.square.tril()

    def forward(self, x: Tensor) -> Tensor:
        """Add noise to features of shape (B, ..., D)."""
        noise = torch.randn(x.shape[-1], dtype=self.square.dtype, device=x.device)
        return x + self.factor @ noise
