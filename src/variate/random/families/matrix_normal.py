"""The matrix normal: correlated rows and correlated columns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from variate.random.distribution import Family, Form
from variate.random.noise import counter
from variate.random.scale import Share
from variate.registry import family


@family(random=True, cite="Louizos & Welling 2016, arXiv:1603.04733; the rank-one roots are ours")
@dataclass(frozen=True)
class MatrixNormal(Family):
    """Matrix normal: w = mean + scale * A Z B^T, Z_ij ~ N(0, 1), with roots A = diag(e^a) (I + p p^T) and B alike.

    The rows have the covariance A A^T and the columns B B^T: a scale for each row and each column, and one direction in
    which they vary together. A tensor of more than two dimensions is a matrix of its first dimension by the rest.
    """

    learned: ClassVar[tuple[str, ...]] = ("rows", "row_direction", "columns", "column_direction")
    shares: ClassVar[tuple[Share, ...]] = ("tensor", "network")
    form: ClassVar[Form] = "correlated"

    def initialize(self, mean: Tensor) -> tuple[Tensor, ...]:
        rows, columns = _matrix(mean).shape
        parts: list[Tensor] = []
        for size in (rows, columns):  # a zero direction would have no gradient
            parts += [mean.new_zeros(size), mean.new_full((size,), 0.1 / math.sqrt(max(size, 1)))]
        return tuple(parts)

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        return (counter.noise("normal", key, uid, _matrix(like).shape, device=like.device).to(like.dtype),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        a, p, b, q = learned
        z = noise[0] + torch.outer(p, p @ noise[0])  # (R, C)
        z = z + torch.outer(z @ q, q)  # (R, C)
        return mean + scale * (z * (a[:, None] + b).exp()).view_as(mean)

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        a, p, b, q = learned
        spread = torch.outer(_diagonal(p), _diagonal(q)).sqrt() * (a[:, None] + b).exp()  # (R, C)
        return scale * spread.view_as(mean)

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        a, p, b, q = learned
        rows, columns = len(a), len(b)
        logdet = columns * (a.sum() + p.square().sum().log1p()) + rows * (b.sum() + q.square().sum().log1p())
        return logdet + scale.expand_as(mean).log().sum() + mean.numel() * math.log(2 * math.pi * math.e) / 2


def _matrix(mean: Tensor) -> Tensor:
    return mean.reshape(len(mean), -1) if mean.dim() > 1 else mean.reshape(-1, 1)


def _diagonal(p: Tensor) -> Tensor:
    """The diagonal of (I + p p^T)^2."""
    return 1 + p.square() * (2 + p.square().sum())
