"""Correlated Gaussians: independent noise plus a few shared directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.random.distribution import HALF, Family, Form
from variate.random.keys import hash_words
from variate.random.noise import counter
from variate.registry import family


@family(random=True, cite="Ong, Nott & Smith 2018, arXiv:1701.03208; Tomczak et al. 2020, NeurIPS")
@dataclass(frozen=True)
class LowrankNormal(Family):
    """Gaussian with correlated elements: w = mean + scale * (z + sum_r factor_r * e_r), z_i, e_r ~ N(0, 1).

    The covariance is S (I + F^T F) S with S = diag(scale) and F of shape (rank, elements). F starts at 0.

    Attributes:
        rank: number of shared directions, from 1.
    """

    rank: float = 1
    learned: ClassVar[tuple[str, ...]] = ("factor",)
    form: ClassVar[Form] = "correlated"

    def __post_init__(self) -> None:
        if isinstance(self.rank, bool) or self.rank != int(self.rank) or self.rank < 1:
            raise UsageError(f"the rank is {self.rank!r}", expected="a whole number from 1")

    def initialize(self, mean: Tensor) -> tuple[Tensor, ...]:
        return (mean.new_zeros((int(self.rank), *mean.shape)),)

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        own = counter.noise("normal", key, uid, like.shape, device=like.device)
        shared = counter.noise("normal", key, hash_words("factor", uid), (int(self.rank),), device=like.device)
        return own.to(like.dtype), shared.to(like.dtype)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        shared: Tensor = torch.tensordot(noise[1], learned[0], 1)
        return mean + scale * (noise[0] + shared)

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        std: Tensor = scale * (1 + learned[0].square().sum(0)).sqrt()
        return std

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        factor = learned[0].reshape(len(learned[0]), -1)  # (R, D)
        gram = torch.eye(len(factor), dtype=factor.dtype, device=factor.device) + factor @ factor.T  # (R, R)
        logdet = torch.linalg.cholesky(gram.float() if gram.dtype in HALF else gram).diagonal().log().sum()
        logdet = logdet + scale.expand_as(mean).log().sum()
        total: Tensor = logdet.to(mean.dtype) + mean.numel() * math.log(2 * math.pi * math.e) / 2
        return total
