"""Few-bit weights: each weight is the share of ones in a short random bit stream, on a grid of few values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.errors import UsageError
from variate.random.distribution import HALF, Family, Form
from variate.random.noise import counter
from variate.random.scale import Share
from variate.registry import family

Gradient = Literal["normal", "straight-through"]
MOST = 8  # bits
ROUNDS = 20  # of the least squares for the first scale, which settle within a few


@family(
    random=True,
    cite="weights as stochastic numbers of few bits: Golbabaei et al. 2023, SOCC; straight-through gradient: "
    "Bengio et al. 2013, arXiv:1308.3432; the grid of p, the learned scale and the normal approximation are ours",
)
@dataclass(frozen=True)
class Binomial(Family):
    """Bit streams: w = scale * (2 k / n - 1), k ~ Binomial(n, p), n = 2^bits - 1.

    k counts the ones in a stream of n bits that are 1 with probability p. With n = 2^bits - 1, one bit for ``bits=1``,
    a drawn weight has one of 2^bits values, so a draw has as many bits as p. The scale is the half-width of the values,
    one for each tensor or channel. The mean is scale * (2 p - 1) and the variance is 4 scale^2 p (1 - p) / n.

    p is that of the mean under the parameter's own name, rounded to the grid (j + 1/2) / 2^bits, j = 0 ... 2^bits - 1,
    whose ends stay away from 0 and 1: every weight is random, even with one bit. So a tensor is stored in ``bits`` bits
    an element. In training the parameter is a real number that any optimizer may move; a mean beyond the scale counts
    as at the end of the grid. The first scale is the one whose grid is nearest to the initial values, in least squares,
    or larger where the standard deviation would be smaller than requested.

    Both gradients pass through the rounding of p as though it were not there. Probabilities below 2^-24 are not drawn.

    Attributes:
        bits: bits of p, from 1 to 8.
        gradient: ``normal`` differentiates mean + std * z for the z of the draw, which is exact for losses that are
            quadratic in the weights; ``straight-through`` differentiates with the draw's error of k / n held fixed,
            which is exact for losses that are linear in each weight, and blind to the variance.
    """

    bits: float = 4
    gradient: Gradient = "normal"
    shares: ClassVar[tuple[Share, ...]] = ("tensor", "channel")
    form: ClassVar[Form] = "discrete"
    on_grid: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if isinstance(self.bits, bool) or not isinstance(self.bits, int | float) or self.bits not in range(1, MOST + 1):
            raise UsageError(f"bits is {self.bits!r}", expected=f"a whole number from 1 to {MOST}")
        if self.gradient not in get_args(Gradient):
            raise UsageError(f"gradient is {self.gradient!r}", expected=" or ".join(get_args(Gradient)))

    @property
    def pathwise(self) -> bool:
        return False

    @property
    def levels(self) -> int:
        """2^bits: the number of values of p, and of a weight."""
        return 1 << int(self.bits)

    @property
    def length(self) -> int:
        """n, the length of the bit stream."""
        return self.levels - 1

    def cells(self, mean: Tensor, scale: Tensor) -> Tensor:
        """The index j of every p on its grid: int64."""
        return (_free(mean, scale) * self.levels).floor().long().clamp(0, self.levels - 1)

    def at(self, cells: Tensor, scale: Tensor) -> Tensor:
        """The mean of the elements with the indices j; the same bits on every machine."""
        units = 2 * self._grid(cells) - 1
        return (_wide(scale) * units.to(_wide(scale))).to(scale.dtype)

    def center(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return (_wide(scale) * (2 * self._chance(mean, scale) - 1)).to(mean.dtype)

    def first_scale(self, rows: Tensor, std: float) -> Tensor:
        wide, tiny, least = rows.double(), torch.finfo(torch.float32).tiny, self.length * std**2
        if not rows.numel():
            return wide.new_full((len(rows),), math.sqrt(least))
        scale = wide.abs().amax(1, keepdim=True) / (1 - 1 / self.levels)
        for _ in range(ROUNDS):
            units = 2 * self._grid(self.cells(wide, scale.clamp_min(tiny))).to(wide) - 1
            before, scale = scale, (units * wide).sum(1, keepdim=True) / units.square().sum(1, keepdim=True)
            if torch.equal(before, scale):
                break
        return torch.maximum(scale, (wide.square().mean(1, keepdim=True) + least).sqrt()).squeeze(1)

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        return (counter.noise("unit", key, uid, like.shape, device=like.device),)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        share = self._count(noise[0].float(), self.cells(mean, scale)).to(_wide(mean)) / self.length  # k / n
        value = (_wide(scale) * (2 * share - 1)).to(mean.dtype)
        if not torch.is_grad_enabled():
            return value
        chance = self._chance(mean, scale)
        if self.gradient == "straight-through":
            carrier = _wide(scale) * (2 * (chance + (share - chance).detach()) - 1)
        else:
            center, std = _wide(scale) * (2 * chance - 1), self._std(chance, scale)
            carrier = center + std * ((_wide(scale) * (2 * share - 1) - center) / std).detach()
        return value.detach() + (carrier - carrier.detach()).to(mean.dtype)  # the value stays exactly on its grid

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return self._std(self._chance(mean, scale), scale).to(mean.dtype)

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """That of k, in nats; its gradient is the one at the rounded p."""
        tables, cells, chance = _tables(int(self.bits)), self.cells(mean, scale), self._chance(mean, scale)
        nats, slope = (torch.from_numpy(t).to(chance.device)[cells].to(chance) for t in (tables.nats, tables.slope))
        return (nats + slope * (chance - chance.detach())).sum().to(mean.dtype)

    def kl(self, mean: Tensor, scale: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        """The KL of k to a uniform one of its n + 1 values, plus the energy E w^2 / (2 prior_std^2).

        A point mass has no divergence from a density, so the infinite constant is dropped, as for ``bernoulli``.
        """
        second = self.center(mean, scale).square() + self.std(mean, scale).square()
        return second.sum() / (2 * prior_std**2) + mean.numel() * math.log(self.levels) - self.entropy(mean, scale)

    def _grid(self, cells: Tensor) -> Tensor:
        """The p of every index j, without rounding: the denominator is a power of two."""
        return (cells.float() + 0.5) / self.levels

    def _chance(self, mean: Tensor, scale: Tensor) -> Tensor:
        """The p on its grid, with the gradient of the p that is not rounded."""
        free = _free(mean, scale).clamp(0, 1)
        return self._grid(self.cells(mean, scale)).to(free) + (free - free.detach())

    def _std(self, chance: Tensor, scale: Tensor) -> Tensor:
        return 2 * _wide(scale) * (chance * (1 - chance) / self.length).sqrt()

    def _count(self, unit: Tensor, cells: Tensor) -> Tensor:
        """k: how many values of the distribution function of each p are at most ``unit``, by bisection."""
        tables = _computed if torch.compiler.is_dynamo_compiling() else _tables  # it cannot trace the cache
        thresholds = torch.from_numpy(tables(int(self.bits)).below).to(unit.device).flatten()
        start, count = cells * self.length, torch.zeros_like(cells)
        for bit in reversed(range(int(self.bits))):
            step = 2**bit
            count = torch.where(thresholds[start + count + (step - 1)] <= unit, count + step, count)
        return count


class Tables(NamedTuple):
    """What depends on p alone, by its index: P(k <= i) of shape (2^bits, n), entropy in nats and its slope in p."""

    below: NDArray[np.float32]
    nats: NDArray[np.float64]
    slope: NDArray[np.float64]


def _computed(bits: int) -> Tables:
    levels = 2**bits
    n, k = levels - 1, np.arange(levels)
    p = ((np.arange(levels) + 0.5) / levels)[:, None]
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, levels)))])
    logs = log_factorials[n] - log_factorials - log_factorials[::-1] + k * np.log(p) + (n - k) * np.log1p(-p)
    shares = np.exp(logs)  # (2^bits, n + 1)
    slopes = shares * (k / p - (n - k) / (1 - p))
    return Tables(np.cumsum(shares, 1)[:, :-1].astype(np.float32), -(shares * logs).sum(1), -(slopes * logs).sum(1))


_tables = cache(_computed)


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF else tensor


def _free(mean: Tensor, scale: Tensor) -> Tensor:
    """The p before it is rounded: below 0 or above 1 for a mean beyond the scale."""
    return (1 + _wide(mean) / _wide(scale)) / 2
