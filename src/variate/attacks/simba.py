"""Simple black-box attack."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Final, Literal, final

import torch
from torch import Tensor

from variate.attacks.parts.climbing import MIN_QUERIES, climb
from variate.attacks.parts.plane import plane_of
from variate.inputs.budget import Budget
from variate.limits import Limits, Positive, Share
from variate.oracle.losses import aimed, margin
from variate.oracle.oracle import ScoreOracle
from variate.oracle.randomness import Coins
from variate.registry import attack


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
    queries: Annotated[int, Limits(at_least=MIN_QUERIES)] = 5000,
    basis: Literal["pixel", "dct"] = "pixel",
    frequencies: Share = 0.5,
    step_size: Positive | None = None,
) -> Tensor:
    """Steps along directions of an orthonormal basis, forward or else backward, kept where the margin rises.

    The directions are single values, or the cosines of lowest frequency, in random order: x <- project(x +- step_size *
    q). Each direction is tried once before any is tried again.

    Where an example's answers repeat, this is the published algorithm with the margin instead of the probability, until
    the margin is above 0. Where they are random, the published rule would accept lucky draws; instead eight candidates
    race the point under the same draws, a candidate wins after several queries whose gains sum to more than 0, no
    example stops early, and averages select among four snapshots.

    Args:
        oracle: returns the margin averaged over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        queries: maximum number of inputs queried per example, at least 4.
        basis: ``pixel``, or ``dct`` for the discrete cosine transform of the last two dimensions.
        frequencies: fraction of the frequencies of each side that ``dct`` uses, the lowest ones, in (0, 1].
        step_size: length of a step in the budget's norm; default eps in linf and eps / 5 in l2.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``queries`` is below 4, the basis is unknown, or ``frequencies`` is not in (0, 1].
    """
    default_length = budget.eps if budget.norm == "linf" else budget.eps / 5
    length = default_length if step_size is None else step_size
    share = frequencies if basis == "dct" else None
    loss, labels = aimed(margin, y, target)
    moves = Directions(oracle.coins(x), x, budget, length, tries=queries, share=share)
    return budget.project(climb(oracle, x, labels, loss, moves, queries=queries), x)


@final
class Directions:
    """Steps along single values or cosines: try 2 i goes forward and try 2 i + 1 backward along direction i.

    Args:
        coins: the attacker's random numbers.
        x: the original inputs, shape (B, ...).
        budget: linf or l2.
        length: length of a step in the budget's norm.
        tries: number of moves.
        share: fraction of the frequencies of a side; None for single values.
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
        passes = -(-tries // count)  # each in its own order; a direction takes one or two tries
        orders = [coins.uniform(f"order {index}", (count,)).argsort(1) for index in range(passes)]
        self._order = torch.cat(orders, 1)  # (B, passes * count)

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """Index of a direction, and 1 or -1: (N, M, 2)."""
        return torch.stack([self._order[rows[:, None], tries // 2], 1 - 2 * (tries % 2)], -1)

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """Take one step per point along its direction, projected: (N, ...)."""
        directions = self._direction(moves[:, 0], points) * (self._length * moves[:, 1, None])
        return self._budget.project(points + directions.view_as(points), self._x[rows])

    def _direction(self, index: Tensor, like: Tensor) -> Tensor:
        """Directions of length 1 in the budget's norm, by index: (N,) to (N, D)."""
        channels, height, width = plane_of(like.shape[1:])
        _, tall, wide = self._grid
        flat = like.new_zeros(len(index), channels * height * width)
        if not self._cosines:
            return flat.scatter(1, index[:, None], 1.0)
        down, across = index // wide % tall, index % wide
        wave = _cosine(down, height, like)[:, :, None] * _cosine(across, width, like)[:, None, :]  # (N, H, W)
        wave = wave / wave.abs().amax((1, 2), keepdim=True) if self._budget.norm == "linf" else wave
        positions = (
            torch.arange(height * width, device=like.device) + (index // (tall * wide) * height * width)[:, None]
        )
        return flat.scatter(1, positions, wave.flatten(1))


def _cosine(frequency: Tensor, length: int, like: Tensor) -> Tensor:
    """A row of the orthonormal DCT-II: cos(pi (l + 1/2) f / L), scaled to length 1: (N,) to (N, L)."""
    positions = torch.arange(length, device=like.device) + 0.5
    wave = torch.cos(torch.pi / length * positions * frequency[:, None]).to(like)
    unit: Tensor = wave / wave.norm(dim=1, keepdim=True)
    return unit
