"""Dropped weights: each weight is kept with a learned probability, hard or relaxed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.random.distribution import Family, Form
from variate.random.noise import counter
from variate.registry import family


@family(
    random=True,
    cite="DropConnect: Wan et al. 2013; learned rates: Gal & Ghahramani 2016, arXiv:1506.02142; the ramp is ours",
)
@dataclass(frozen=True)
class Bernoulli(Family):
    """Dropped weights: w = mean * b / p, b = 1 with the learned probability p, else 0.

    The scale is the standard deviation as a fraction of |mean|: sqrt((1 - p) / p). ``relaxed=0`` drops hard, and the
    gradient with respect to p is the straight-through estimate (Bengio et al. 2013), which is biased. With
    ``relaxed=r``, b rises along a ramp of width r * 2 min(p, 1 - p) around the threshold: E b remains p, and the
    gradient is exact.

    Attributes:
        relaxed: width of the ramp, from 0 (hard) to 1.
    """

    relaxed: float = 0.0
    relative: ClassVar[bool] = True
    form: ClassVar[Form] = "discrete"

    def __post_init__(self) -> None:
        if isinstance(self.relaxed, bool) or not isinstance(self.relaxed, int | float) or not 0 <= self.relaxed <= 1:
            raise UsageError(f"relaxed is {self.relaxed!r}", expected="a number from 0 (hard) to 1")

    @property
    def pathwise(self) -> bool:
        return self.relaxed > 0

    def keep(self, scale: Tensor) -> Tensor:
        """The probability p of keeping a weight, for which b / p has the standard deviation ``scale``."""
        third = self.relaxed / 3
        square = scale.square()
        root = ((1 + third) ** 2 - 4 * (1 + square) * third).clamp_min(0).sqrt()
        above_half = (1 + third + root) / (2 * (1 + square))  # p >= 1/2: scale^2 p^2 = (1 - p) (p - r / 3)
        below_half = (1 - third) / (1 + square)  # p < 1/2: scale^2 p = 1 - p - r / 3
        return torch.where(square <= 1 - 2 * third, above_half, below_half)

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        return (counter.noise("unit", key, uid, like.shape, device=like.device),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        keep = self.keep(scale)
        above = noise[0].to(keep) - (1 - keep)
        if self.relaxed:
            width = 2 * self.relaxed * torch.minimum(keep, 1 - keep)
            mask = (above / width.clamp_min(torch.finfo(keep.dtype).tiny) + 0.5).clamp(0, 1)
        else:
            mask = (above > 0).to(keep) + (keep - keep.detach())
        return mean * (mask / keep)

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return mean.abs() * scale

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """The entropy H(p) of the hard mask, in nats."""
        keep = self.keep(scale).expand_as(mean)
        return -(torch.xlogy(keep, keep) + torch.xlogy(1 - keep, 1 - keep)).sum()

    def kl(self, mean: Tensor, scale: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        """The KL of the mask to a fair coin, plus the Gaussian energy E w^2 / (2 prior_std^2) of the weight.

        A point mass has no finite divergence from a density, so the infinite constant is dropped, as for
        Monte Carlo dropout (Gal & Ghahramani 2016, equation 7 of the appendix).
        """
        energy = (mean.square() * (1 + scale.square())).sum() / (2 * prior_std**2)
        return energy + mean.numel() * math.log(2) - self.entropy(mean, scale)
