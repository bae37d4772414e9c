"""Repeated label queries: all that an attacker without scores can learn about a random network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.oracle.losses import reached
from variate.oracle.oracle import LabelOracle


class Votes:
    """Fraction of successful answers for several points per example.

    All points of one query are evaluated under the same draws, so they can be compared; every query has new draws.

    Args:
        oracle: returns the label that most of its draws predict.
        x: the original inputs, shape (B, ...).
        y: labels, shape (B,).
        target: target labels, shape (B,); None for an untargeted attack.
        apart: give every point of a query draws of its own, as an attacker has who sends one input at a time.
    """

    def __init__(
        self, oracle: LabelOracle, x: Tensor, y: Tensor, target: Tensor | None = None, *, apart: bool = False
    ) -> None:
        self._oracle = oracle
        self._apart = apart and oracle.random
        self._y = y
        self._target = target
        self._rows = torch.arange(len(x), device=x.device)

    def only(self, mask: Tensor) -> None:
        """Query only the examples of the mask, shape (B,), from now on; all others count as unsuccessful."""
        self._rows = mask.nonzero()[:, 0]

    def skip(self, queries: int) -> None:
        """Skip the draws of queries that no example makes: later draws do not depend on the batch."""
        self._oracle.skip(queries)

    def once(self, points: Tensor, among: Tensor | None = None) -> Tensor:
        """One query of C points per example, (B, C, ...): 1 where the attack succeeds, 0 elsewhere, (B, C).

        Args:
            points: the points.
            among: mask of the examples to query, shape (B,); the others count as unsuccessful. None: all.
        """
        if self._apart and points.shape[1] > 1:
            return torch.cat([self.once(point[:, None], among) for point in points.unbind(1)], 1)
        count = points.shape[1]
        rows = self._rows if among is None else self._rows[among[self._rows]]
        labels = self._oracle.labels(points[rows].flatten(0, 1), rows=rows.cpu().repeat_interleave(count))
        target = None if self._target is None else self._target[rows, None]
        won = points.new_zeros(points.shape[:2])
        won[rows] = reached(labels.view(-1, count), self._y[rows, None], target).to(points)
        return won

    def shares(self, points: Tensor, times: int) -> Tensor:
        """Fraction of successful answers over several queries of the same points: (B, C, ...) to (B, C)."""
        total = self.once(points)
        for _ in range(times - 1):
            total = total + self.once(points)
        return total / times

    def best(self, candidates: Tensor, queries: int) -> Tensor:
        """Return the candidate of each example that succeeds most often, the first of equals.

        Queries concentrate on fewer and fewer candidates: each of log2(M) rounds keeps the better half (successive
        halving: Jamieson & Talwalkar 2016, arXiv:1502.07943, figure 2).

        Args:
            candidates: M candidates per example, shape (B, M, ...).
            queries: maximum number of points queried per example.

        Returns:
            Points, shape (B, ...).
        """
        examples, count = candidates.shape[:2]
        each = torch.arange(examples, device=candidates.device)
        remaining = torch.arange(count, device=candidates.device).expand(examples, count)
        won = candidates.new_zeros((examples, count))
        rounds, unspent = max(1, math.ceil(math.log2(count))), queries
        for index in range(rounds):
            kept = math.ceil(count / 2**index)
            order = won.gather(1, remaining).sort(dim=1, descending=True, stable=True).indices[:, :kept]
            remaining = remaining.gather(1, order.sort(dim=1).values)  # (B, kept), ties keep their order
            points = candidates[each[:, None], remaining]  # (B, kept, ...)
            times = max(queries // (rounds * kept), 1 if index == 0 else 0)
            for _ in range(min(times, unspent // kept)):
                won = won.scatter_add(1, remaining, self.once(points))
                unspent -= kept
        return candidates[each, remaining[each, won.gather(1, remaining).argmax(1)]]
