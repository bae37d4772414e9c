"""Layers that a defense puts around those of a network: noise whose size is learned, for objectives to ask about."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Surrounded(nn.Module):
    """A layer with a module in front of it, behind it, or both; what else is asked of it, the layer answers.

    Args:
        layer: of the network, with one input.
        front: what its input passes first.
        behind: what its output passes last.
    """

    def __init__(self, layer: nn.Module, *, front: nn.Module | None = None, behind: nn.Module | None = None) -> None:
        super().__init__()
        self.front = front
        self.layer = layer
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
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

    std = floor + softplus(rho). It is on in train and in eval mode.

    Args:
        like: a tensor of the type and on the device of the parameters.
        channels: C.
        std: at the start, above ``floor``.
        floor: the least standard deviation, from 0.
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
        """Features of shape (B, C, H, W), with noise."""
        return x + self.std * torch.randn(x.shape[1:], dtype=x.dtype, device=x.device)


class CorrelatedNoise(nn.Module):
    """Gaussian noise with a learned covariance Sigma = L L^T, drawn once for the whole batch.

    L is the lower triangle of a learned square; its entries start uniform between 0 and ``size``. It is on in train
    and in eval mode.

    Args:
        like: a tensor of the type and on the device of the parameters.
        features: D.
        size: of the largest entry of L at the start, above 0.
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
        """Features of shape (B, ..., D), with noise."""
        noise = torch.randn(x.shape[-1], dtype=self.square.dtype, device=x.device)
        return x + self.factor @ noise
