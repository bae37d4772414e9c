"""The best point so far of a noisy ascent, selected under draws that are the same for all candidates.

The loss of a step is a mean over fresh draws, and the largest of a hundred such means is a lucky one: if it were
remembered, it would reject better points. A loss is therefore compared only with others of the same window; at the end
of the window its best point, its last point and the incumbent are compared in one query.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from variate.attacks.parts.ranking import best_index
from variate.oracle.losses import Loss
from variate.oracle.white_box import GradientOracle


class Point(NamedTuple):
    """Points of a batch with their gradient and loss: shapes (B, ...), (B, ...) and (B,)."""

    x: Tensor
    gradient: Tensor
    value: Tensor


class Climb:
    """The current and the best point of an ascent.

    Args:
        oracle: returns the averaged loss and its gradient.
        start: the first point, shape (B, ...).
        y: labels that the loss takes, shape (B,).
        loss: the loss to maximize.
        rank: the score that selects the best point.
        rows: indices of the examples in the oracle's batch, shape (B,); all of them, in order, if None.

    Attributes:
        now: the current point.
        best: the incumbent.
    """

    def __init__(
        self, oracle: GradientOracle, start: Tensor, y: Tensor, *, loss: Loss, rank: Loss, rows: Tensor | None = None
    ) -> None:
        self._oracle, self._y, self._loss, self._rank, self._rows = oracle, y, loss, rank, rows
        self.now = self._query(start)
        self.best = self._top = self.now

    def step(self, moved: Tensor) -> Tensor:
        """Move to the given points, shape (B, ...), and return where the loss rose, shape (B,)."""
        last = self.now.value
        self.now = self._query(moved)
        self._top = select(self.now.value > self._top.value, self.now, self._top)
        return self.now.value > last

    def close_window(self) -> Tensor:
        """Select the best of three points under the same fresh draws; return where it is a new one, shape (B,)."""
        candidates = torch.stack([self.best.x, self._top.x, self.now.x])  # (3, B, ...)
        winner = best_index(self._oracle, candidates, self._y, self._rank, self._rows)
        self.best = select(winner == 2, self.now, select(winner == 1, self._top, self.best))
        self._top = self.best._replace(value=torch.full_like(self.best.value, -torch.inf))
        return (self.best.x != candidates[0]).flatten(1).any(1)

    def back_to_best(self, mask: Tensor) -> None:
        """Continue from the incumbent where the mask, shape (B,), is true."""
        self.now = select(mask, self.best, self.now)

    def _query(self, x: Tensor) -> Point:
        value, gradient = self._oracle.gradient(x, self._y, self._loss, rows=self._rows)
        return Point(x, gradient, value)


def select(mask: Tensor, chosen: Point, other: Point) -> Point:
    """``chosen`` where the mask, shape (B,), is true, and ``other`` elsewhere."""
    wide = mask.view(-1, *[1] * (chosen.x.dim() - 1))  # (B, 1, ...)
    x, gradient = chosen.x.where(wide, other.x), chosen.gradient.where(wide, other.gradient)
    return Point(x, gradient, chosen.value.where(mask, other.value))
