"""No randomness: the parameter stays an ordinary parameter. Users name exceptions with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from variate.random.distribution import Family
from variate.registry import family


@family(random=False, cite="")
@dataclass(frozen=True)
class Fixed(Family):
    """Deterministic: w = mean, without scale or noise."""

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        return ()

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return mean

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return torch.zeros_like(mean)

    def kl(self, mean: Tensor, scale: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        return mean.new_zeros(())  # a point mass has no finite divergence from a density: it is left out of the sum

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return mean.new_zeros(())
