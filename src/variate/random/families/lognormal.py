"""Multiplicative noise: every weight keeps its sign and varies by a factor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from variate.random.distribution import Family
from variate.random.noise import counter
from variate.registry import family


@family(random=True, cite="multiplicative noise: Louizos & Welling 2017, arXiv:1703.01961; the factor is ours")
@dataclass(frozen=True)
class Lognormal(Family):
    """Lognormal factor: w = mean * exp(tau * z - tau^2 / 2), z ~ N(0, 1), tau^2 = log(1 + scale^2).

    The scale is the standard deviation as a fraction of |mean|, so a mean of 0 (a new bias) has no noise until
    training changes it; its entropy is computed at the smallest positive number instead.
    """

    relative: ClassVar[bool] = True

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        return (counter.noise("normal", key, uid, like.shape, device=like.device).to(like.dtype),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        variance = scale.square().log1p()
        return mean * torch.exp(variance.sqrt() * noise[0] - variance / 2)

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return mean.abs() * scale

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        variance = scale.square().log1p().expand_as(mean)
        size = mean.abs().clamp_min(torch.finfo(mean.dtype).tiny)
        return (size.log() - variance / 2 + variance.log() / 2).sum() + mean.numel() * math.log(
            2 * math.pi * math.e
        ) / 2
