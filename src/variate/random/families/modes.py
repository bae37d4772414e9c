"""One of K networks, and a little noise around it: one mode index for all parameters of a network in a draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.random.distribution import HALF, Family, Form
from variate.random.keys import hash_words
from variate.random.noise import counter
from variate.registry import family

Around = Literal["normal", "fixed"]
Probabilities = Literal["fixed", "learned"]
MOST = 1024  # modes


@family(
    random=True,
    cite="ours; several networks trained as one: Grefenstette et al. 2018, arXiv:1811.09300; bound on the entropy: "
    "Kolchinsky & Tracey 2017, arXiv:1706.02419",
)
@dataclass(frozen=True)
class Modes(Family):
    """One of K centers: w = mean + offset_m - sum_j p_j offset_j + scale * z, with one m for the whole network.

    The index m belongs to the draw: every parameter of the network that has this family is at its m-th center, so a
    draw is one of K networks with a little independent Gaussian noise around it. The mean is that of the distribution,
    sum_j p_j center_j, and its variance is sum_j p_j (center_j - mean)^2 + scale^2. Centers are values of weights: they
    have the learning rate and the weight decay of the means. Batch-norm statistics are shared by all modes.

    The entropy of each tensor is a lower bound, off by less than log K nats, so the KL is an upper bound.

    Attributes:
        count: number of modes, K, from 1.
        around: ``normal`` noise around each center, or ``fixed``: none, and the scale has no effect.
        apart: initial distance of the centers from their mean in units of the scale: root mean square over modes. The
            pretrained value is the mean of the centers.
        probabilities: ``fixed``: all modes are equally likely; ``learned``: one learned probability for each mode of
            the network, which gets its gradient where all modes run together (``deployed``), and none from one draw.
    """

    count: float = 4
    around: Around = "normal"
    apart: float = 3.0
    probabilities: Probabilities = "fixed"
    weights: ClassVar[tuple[str, ...]] = ("offsets",)
    whole: ClassVar[tuple[str, ...]] = ("logits",)
    form: ClassVar[Form] = "modes"

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int | float) or self.count % 1:
            raise UsageError(f"the count of modes is {self.count!r}", expected="a whole number from 1")
        least = 2 if self.around == "fixed" else 1  # one fixed mode is not random
        if not least <= self.count <= MOST:
            expected = f"a whole number from {least} to {MOST}"
            raise UsageError(f"the count of modes is {self.count:g}", expected=expected)
        if self.around not in get_args(Around):
            raise UsageError(f"around is {self.around!r}", expected=" or ".join(get_args(Around)))
        if self.probabilities not in get_args(Probabilities):
            raise UsageError(f"probabilities is {self.probabilities!r}", expected=" or ".join(get_args(Probabilities)))
        if isinstance(self.apart, bool) or not isinstance(self.apart, int | float) or not 0 < self.apart < math.inf:
            raise UsageError(f"apart is {self.apart!r}", expected="a finite number above 0")

    @property
    def learned(self) -> tuple[str, ...]:  # type: ignore[override]
        """The centers, relative to their mean, and the logits of their probabilities if those are learned."""
        return ("offsets", "logits") if self.probabilities == "learned" else ("offsets",)

    @property
    def pathwise(self) -> bool:
        """Whether one draw has the whole gradient: not that of the probability of its own mode."""
        return self.probabilities == "fixed"

    @property
    def scaled(self) -> bool:
        """Whether there is noise around the centers."""
        return self.around == "normal"

    @property
    def modes(self) -> int:
        """K."""
        return int(self.count)

    def initialize(self, mean: Tensor) -> tuple[Tensor, ...]:
        uid = hash_words("modes", *mean.shape, *mean.detach().flatten()[:8].double().tolist())
        offsets = torch.stack(
            [counter.noise("normal", mode, uid, mean.shape, device=mean.device) for mode in range(self.modes)]
        ).double()  # (K, ...)
        offsets = offsets - offsets.mean(0)
        offsets = offsets * (self.apart / offsets.square().mean().sqrt().clamp_min(torch.finfo(torch.float32).tiny))
        logits = (mean.new_zeros(self.modes),) if self.probabilities == "learned" else ()
        return offsets.to(mean.dtype), *logits

    def in_units(self, scale: Tensor, *learned: Tensor) -> tuple[Tensor, ...]:
        return learned[0] * scale, *learned[1:]

    def chances(self, *learned: Tensor) -> Tensor:
        """The probability of every mode, (K,)."""
        if self.probabilities == "learned":
            return learned[1].softmax(0)
        return learned[0].new_full((self.modes,), 1 / self.modes)

    def centers(self, mean: Tensor, *learned: Tensor) -> Tensor:
        """The centers of all modes, (K, ...), whose mean under the probabilities is the mean."""
        return mean + (learned[0] - self._average(*learned))

    def edges(self, *learned: Tensor) -> Tensor:
        """The numbers in (0, 1) that divide it into parts as long as the probabilities: float32, (K - 1,)."""
        if self.probabilities == "fixed":
            return torch.arange(1, self.modes, dtype=torch.float32, device=learned[0].device) / self.modes
        return self.chances(*learned).detach().float().cumsum(0)[:-1]

    def noise(self, key: int | Tensor, uid: int, like: Tensor) -> tuple[Tensor, ...]:
        shared = counter.unit(key).to(like.device)  # in single precision: rounding could lead to another mode
        if self.around == "fixed":
            return (shared,)
        return shared, counter.noise("normal", key, uid, like.shape, device=like.device).to(like.dtype)

    def sample(self, noise: tuple[Tensor, ...], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        return self.samples([noise], mean, scale, *learned).squeeze(0)

    def samples(self, noises: Sequence[tuple[Tensor, ...]], mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        shared = torch.stack([noise[0] for noise in noises])  # (S,)
        index = (shared[:, None] >= self.edges(*learned)).sum(1)  # (S,)
        each_once = 1 < self.modes == len(noises) and index.tolist() == list(range(self.modes))  # no copy, no scatter
        offsets = learned[0] if each_once else learned[0].index_select(0, index)
        center = mean + (offsets - self._average(*learned))  # (S, ...)
        if self.around == "fixed":
            return center
        return torch.addcmul(center, scale, torch.stack([noise[1] for noise in noises]))

    def std(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        away = (learned[0] - self._average(*learned)).square()
        between: Tensor = torch.tensordot(self.chances(*learned), away, 1)
        return (between + scale.square()).sqrt() if self.around == "normal" else between.sqrt()

    def entropy(self, mean: Tensor, scale: Tensor, *learned: Tensor) -> Tensor:
        """That of the index where nothing is around the centers; else h(z) + sum log scale - sum_i p_i log a_i.

        a_i = sum_j p_j exp(-d_ij^2 / 8), with d_ij the distance of two centers in units of the scale: a lower bound,
        from the Bhattacharyya distance, that is exact where centers coincide and where they are far apart.
        """
        shares = self.chances(*learned)
        if self.around == "fixed":
            return -torch.xlogy(shares, shares).sum()
        units = ((learned[0] - self._average(*learned)) / scale).reshape(self.modes, -1)  # (K, D)
        wide = units.float() if units.dtype in HALF else units
        product = wide @ wide.T
        squares = product.diagonal()[:, None] + product.diagonal() - 2 * product  # (K, K)
        overlap = (shares.to(wide) * (-squares / 8).exp()).sum(1)  # (K,)
        mixing = -(shares.to(wide) * overlap.log()).sum().to(mean.dtype)
        around = scale.expand_as(mean).log().sum() + mean.numel() * math.log(2 * math.pi * math.e) / 2
        return around + mixing

    def kl(self, mean: Tensor, scale: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        """An upper bound; where nothing is around the centers, the KL of the index to a fair one and the energy.

        The energy is E w^2 / (2 prior_std^2), as of ``bernoulli``: a point mass has no divergence from a density.
        """
        if self.around == "normal":
            return super().kl(mean, scale, *learned, prior_std=prior_std)
        second = mean.square() + self.std(mean, scale, *learned).square()
        return second.sum() / (2 * prior_std**2) + math.log(self.modes) - self.entropy(mean, scale, *learned)

    def _average(self, *learned: Tensor) -> Tensor:
        """The mean of the offsets, in the shape of the mean."""
        if self.probabilities == "fixed":
            return learned[0].mean(0)
        average: Tensor = torch.tensordot(self.chances(*learned), learned[0], 1)
        return average
