"""Student's t: tails as heavy as you choose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.random.distribution import Family
from variate.random.keys import hash_words
from variate.random.noise import counter
from variate.registry import family


@family(random=True, cite="Bailey 1994, Mathematics of Computation 62(206)")
@dataclass(frozen=True)
class StudentT(Family):
    """Student's t with ``df`` degrees of freedom, scaled to unit variance: w = mean + scale * sqrt((df - 2) / df) * t.

    t = sqrt(df * (u^(-2/df) - 1)) * cos(2 pi v) with u, v uniform in (0, 1) is exactly t-distributed (Bailey 1994).

    Attributes:
        df: degrees of freedom, above 2; otherwise the variance is not finite.
    """

    df: float = 5.0
    learned: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.df, int | float) or not 2 < self.df < math.inf:
            raise UsageError(f"Student's t with df={self.df} has no variance", expected="df above 2, such as 5")

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        first = counter.noise("unit", key, uid, like.shape, device=like.device)
        second = counter.noise("unit", key, hash_words("angle", uid), like.shape, device=like.device)
        radius = (self.df * torch.expm1(first.double().log() * (-2 / self.df))).sqrt()
        t = radius * torch.cos(second * (2 * math.pi)) * math.sqrt((self.df - 2) / self.df)
        return (t.to(like.dtype),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return torch.addcmul(mean, scale, noise[0])

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return scale.expand_as(mean)

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        half, above = torch.tensor([self.df / 2, (self.df + 1) / 2], dtype=torch.float64, device="cpu")
        beta = torch.lgamma(half) + math.lgamma(0.5) - torch.lgamma(above)
        t = above * (torch.digamma(above) - torch.digamma(half)) + math.log(self.df) / 2 + beta
        unit = float(t) + math.log((self.df - 2) / self.df) / 2
        return scale.expand_as(mean).log().sum() + mean.numel() * unit
