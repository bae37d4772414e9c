"""The Gaussian with a learned mean and a learned scale for every element."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.distribution import Family
from variate.registry import family
from variate.samplers import counter


@family(random=True, cite="Graves 2011; Blundell et al. 2015, arXiv:1505.05424")
class Normal(Family):
    """Gaussian: w = mean + softplus(rho) * z, z ~ N(0, 1), one rho per element."""

    learned: ClassVar[tuple[str, ...]] = ("rho",)

    def initialize(self, mean: Tensor, std: float) -> tuple[Tensor, ...]:
        rho = std + math.log(-math.expm1(-std))  # softplus(rho) = std, stable for small and large std
        return (torch.full_like(mean, rho),)

    def noise(self, key: int, uid: int, like: Tensor) -> Tensor:
        return counter.normal(key, uid, like.shape, device=like.device).to(like.dtype)

    def sample(self, noise: Tensor, mean: Tensor, *learned: Tensor) -> Tensor:
        return torch.addcmul(mean, F.softplus(learned[0]), noise)

    def std(self, mean: Tensor, *learned: Tensor) -> Tensor:
        return F.softplus(learned[0])

    def kl(self, mean: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        std = F.softplus(learned[0])
        return (((mean**2 + std**2) / prior_std**2 - 1) / 2 - (std / prior_std).log()).sum()

    def entropy(self, mean: Tensor, *learned: Tensor) -> Tensor:
        return F.softplus(learned[0]).log().sum() + mean.numel() * math.log(2 * math.pi * math.e) / 2
