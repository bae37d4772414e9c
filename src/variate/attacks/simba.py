"""Simple black-box attack."""

from __future__ import annotations

from math import ceil
from typing import Final, final

import torch
from torch import Tensor

from variate.attacks.parts.climbing import LEAST, climb
from variate.attacks.parts.plane import plane_of
from variate.errors import UsageError, unknown_name
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.oracle.randomness import Coins
from variate.registry import attack

BASES = ("pixel", "dct")


@attack(
    access="scores",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Guo et al. 2019, arXiv:1905.07121, algorithm 1",
    targeted=True,
    quick={"queries": 100},
)
def simba(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    queries: int = 5000,
    basis: str = "pixel",
    frequencies: float = 0.5,
    step_size: float | None = None,
) -> Tensor:
    """One direction of an orthonormal basis after another, forward or else backward, kept where the margin rises.

    In random order: single values, or the cosines of lowest frequency; x <- project(x +- step_size * q). All
    directions are tried once before any is tried again.

    Where an example's answers repeat this is the published algorithm with the margin in the place of the probability,
    until the margin is above 0. Where they are random it deviates, since the published rule accepts lucky draws: eight
    candidates race the point under the same draws, one of them wins after several queries whose gains sum to more than
    0, no example stops, and averages choose among four snapshots.

    Args:
        oracle: gives the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        queries: the most inputs to ask about, for each example, from 4.
        basis: ``pixel``, or ``dct``, the discrete cosine transform of the last two dimensions.
        frequencies: the share of each side's frequencies that ``dct`` uses, the lowest ones, in (0, 1].
        step_size: the length of a step in the budget's norm; without one eps in linf and eps / 5 in l2.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than 4 queries, a basis that does not exist, or a share outside of (0, 1].
    """
    if queries < LEAST:
        raise UsageError(f"simba cannot search with {queries} queries", expected=f"at least {LEAST}")
    if basis not in BASES:
        raise unknown_name("basis", basis, BASES)
    if not 0 < frequencies <= 1:
        raise UsageError(f"simba cannot use a share of {frequencies} of the frequencies", expected="a share in (0, 1]")
    usual = budget.eps if budget.norm == "linf" else budget.eps / 5
    length = usual if step_size is None else step_size
    share = frequencies if basis == "dct" else None
    loss, labels = aimed(margin, y, target)
    moves = Directions(oracle.coins(x), x, budget, length, tries=queries, share=share)
    return budget.project(climb(oracle, x, labels, loss, moves, queries=queries), x)


@final
class Directions:
    """Steps along single values, or along single cosines: try 2 i forward and try 2 i + 1 backward along direction i.

    Args:
        coins: the attacker's.
        x: the original inputs, shape (B, ...).
        budget: linf or l2.
        length: of a step in the budget's norm.
        tries: how many moves there are.
        share: of the frequencies of a side; None for single values.
    """

    opposites: Final = True

    def __init__(
        self, coins: Coins, x: Tensor, budget: Budget, length: float, *, tries: int, share: float | None
    ) -> None:
        channels, height, width = plane_of(x.shape[1:])
        self._x, self._budget, self._length, self._cosines = x, budget, length, share is not None
        tall, wide = (height, width) if share is None else (ceil(height * share), ceil(width * share))
        self._grid = channels, tall, wide
        count = channels * tall * wide
        passes = -(-tries // count)  # each in an order of its own; a direction takes one or two tries
        orders = [coins.uniform(f"order {number}", (count,)).argsort(1) for number in range(passes)]
        self._order = torch.cat(orders, 1)  # (B, passes * count)

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """A direction's number, and 1 or -1: (N, M, 2)."""
        return torch.stack([self._order[rows[:, None], tries // 2], 1 - 2 * (tries % 2)], -1)

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """The points after a step along one direction each, projected: (N, ...)."""
        directions = self._direction(moves[:, 0], points) * (self._length * moves[:, 1, None])
        return self._budget.project(points + directions.view_as(points), self._x[rows])

    def _direction(self, number: Tensor, like: Tensor) -> Tensor:
        """Directions of length 1 in the budget's norm: (N,) to (N, D)."""
        channels, height, width = plane_of(like.shape[1:])
        _, tall, wide = self._grid
        flat = like.new_zeros(len(number), channels * height * width)
        if not self._cosines:
            return flat.scatter(1, number[:, None], 1.0)
        down, across = number // wide % tall, number % wide
        wave = _cosine(down, height, like)[:, :, None] * _cosine(across, width, like)[:, None, :]  # (N, H, W)
        wave = wave / wave.abs().amax((1, 2), keepdim=True) if self._budget.norm == "linf" else wave
        place = torch.arange(height * width, device=like.device) + (number // (tall * wide) * height * width)[:, None]
        return flat.scatter(1, place, wave.flatten(1))


def _cosine(frequency: Tensor, length: int, like: Tensor) -> Tensor:
    """A row of the orthonormal DCT-II: cos(pi (l + 1/2) f / L), scaled to length 1: (N,) to (N, L)."""
    place = torch.arange(length, device=like.device) + 0.5
    wave = torch.cos(torch.pi / length * place * frequency[:, None]).to(like)
    unit: Tensor = wave / wave.norm(dim=1, keepdim=True)
    return unit
