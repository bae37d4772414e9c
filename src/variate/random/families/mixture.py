"""Two Gaussians: each weight takes one of two values, an implicit ensemble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from variate.random.distribution import Family
from variate.random.keys import hash_words
from variate.random.noise import counter
from variate.registry import family

NODES = 64  # of the Gauss-Hermite rule for the entropy: error below 1e-6 nats


@family(
    random=True,
    cite="mixtures as a distribution of weights: Blundell et al. 2015, arXiv:1505.05424; this posterior is ours",
)
@dataclass(frozen=True)
class Mixture(Family):
    """Two Gaussians of equal weight: w = mean + scale * (sqrt(c) * b + sqrt(1 - c) * z), b a fair sign, z ~ N(0, 1).

    c = sigmoid(split), one number per tensor, is the share of the variance that lies between the two. The scale is the
    standard deviation of the mixture. A fair sign has no parameter, so the pathwise gradient is exact.
    """

    learned: ClassVar[tuple[str, ...]] = ("split",)

    def initialize(self, mean: Tensor) -> tuple[Tensor, ...]:
        return (mean.new_zeros(()),)  # c = 1/2

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        normal = counter.noise("normal", key, uid, like.shape, device=like.device)
        coin = counter.noise("unit", key, hash_words("sign", uid), like.shape, device=like.device)
        return normal.to(like.dtype), torch.where(coin < 0.5, -1.0, 1.0).to(like.dtype)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        between, within = learned[0].sigmoid().sqrt(), (-learned[0]).sigmoid().sqrt()
        return mean + scale * (between * noise[1] + within * noise[0])

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return scale.expand_as(mean)

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """Log scale + log(2 pi e (1 - c)) / 2 + log 2 - E log(1 + exp(-2 a (a + z))), with a^2 = c / (1 - c)."""
        nodes, weights = (torch.from_numpy(part).to(learned[0]) for part in np.polynomial.hermite_e.hermegauss(NODES))
        a = (learned[0] / 2).exp()
        expected = (weights * torch.nn.functional.softplus(-2 * a * (a + nodes))).sum() / math.sqrt(2 * math.pi)
        within = torch.nn.functional.logsigmoid(-learned[0])
        unit = (math.log(2 * math.pi * math.e) + within) / 2 + math.log(2) - expected
        return scale.expand_as(mean).log().sum() + mean.numel() * unit
