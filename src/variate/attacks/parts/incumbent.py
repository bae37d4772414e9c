"""The best point so far of a noisy climb, chosen under draws that are the same for all candidates.

The loss of a step is a mean over fresh draws, and the largest of a hundred such means is a lucky one: remembered, it
would keep better points out. A loss is therefore compared with others of the same window only, and at its end the
window's best, its last point and the incumbent are put to one query.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from variate.attacks.parts.ranking import best_of
from variate.oracle.losses import Loss
from variate.oracle.oracle import GradientOracle


class Point(NamedTuple):
    """Points of a batch with what the oracle said there: shapes (B, ...), (B, ...) and (B,)."""

    x: Tensor
    gradient: Tensor
    value: Tensor


class Climb:
    """Points on a way up, and the best of them.

    Args:
        oracle: gives the averaged loss and its gradient.
        start: the first point, shape (B, ...).
        y: labels that the loss is of, shape (B,).
        loss: what is raised.
        rank: what the best point is chosen by.
        rows: the examples in the batch of the oracle; in order without it.

    Attributes:
        now: the present point.
        best: the incumbent.
    """

    def __init__(
        self, oracle: GradientOracle, start: Tensor, y: Tensor, *, loss: Loss, rank: Loss, rows: Tensor | None = None
    ) -> None:
        self._oracle, self._y, self._loss, self._rank, self._rows = oracle, y, loss, rank, rows
        self.now = self._ask(start)
        self.best = self._top = self.now

    def step(self, moved: Tensor) -> Tensor:
        """Go to points, shape (B, ...), and say where the loss rose on the way, shape (B,)."""
        last = self.now.value
        self.now = self._ask(moved)
        self._top = choose(self.now.value > self._top.value, self.now, self._top)
        return self.now.value > last

    def close_window(self) -> Tensor:
        """Choose the best of three under the same fresh draws, and say where it is a new one, shape (B,)."""
        candidates = torch.stack([self.best.x, self._top.x, self.now.x])  # (3, B, ...)
        winner = best_of(self._oracle, candidates, self._y, self._rank, self._rows)
        self.best = choose(winner == 2, self.now, choose(winner == 1, self._top, self.best))
        self._top = self.best._replace(value=torch.full_like(self.best.value, -torch.inf))
        return (self.best.x != candidates[0]).flatten(1).any(1)

    def back_to_best(self, where: Tensor) -> None:
        """Go on from the incumbent at the examples of ``where``, shape (B,)."""
        self.now = choose(where, self.best, self.now)

    def _ask(self, x: Tensor) -> Point:
        value, gradient = self._oracle.gradient(x, self._y, self._loss, rows=self._rows)
        return Point(x, gradient, value)


def choose(where: Tensor, one: Point, other: Point) -> Point:
    """``one`` at the examples of ``where``, shape (B,), and ``other`` elsewhere."""
    wide = where.view(-1, *[1] * (one.x.dim() - 1))  # (B, 1, ...)
    x, gradient = one.x.where(wide, other.x), one.gradient.where(wide, other.gradient)
    return Point(x, gradient, one.value.where(where, other.value))
