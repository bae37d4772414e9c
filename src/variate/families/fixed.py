"""No randomness: the parameter stays an ordinary parameter. It is how a user names an exception."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from variate.distribution import Family
from variate.registry import family


@family(random=False, cite="")
class Fixed(Family):
    """Deterministic: w = mean, nothing beside it, no noise."""

    learned: ClassVar[tuple[str, ...]] = ()

    def initialize(self, mean: Tensor, std: float) -> tuple[Tensor, ...]:
        return ()

    def noise(self, key: int, uid: int, like: Tensor) -> Tensor:
        return torch.zeros_like(like)

    def sample(self, noise: Tensor, mean: Tensor, *learned: Tensor) -> Tensor:
        return mean

    def std(self, mean: Tensor, *learned: Tensor) -> Tensor:
        return torch.zeros_like(mean)

    def kl(self, mean: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        return mean.new_zeros(())  # a point mass has no finite divergence from a density: it takes no part

    def entropy(self, mean: Tensor, *learned: Tensor) -> Tensor:
        return mean.new_zeros(())
