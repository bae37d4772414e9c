"""Labels asked for again and again: what an attacker without scores knows of a random network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.oracle.losses import reached
from variate.oracle.oracle import LabelOracle


class Votes:
    """Answers about several points of each example at a time, counted.

    All points of one query meet the same draws, so that they can be compared; another query has other draws.

    Args:
        oracle: gives the label that most of its draws answer.
        x: the original inputs, shape (B, ...).
        y: labels, shape (B,).
        target: the labels to reach, shape (B,); None to leave ``y``.
    """

    def __init__(self, oracle: LabelOracle, x: Tensor, y: Tensor, target: Tensor | None = None) -> None:
        self._oracle = oracle
        self._y = y
        self._target = target
        self._asked = torch.arange(len(x), device=x.device)

    def only(self, chosen: Tensor) -> None:
        """From now on ask about the chosen examples, shape (B,); the others' answers read as not wanted."""
        self._asked = chosen.nonzero()[:, 0]

    def once(self, points: Tensor) -> Tensor:
        """One query of C points of each example, (B, C, ...): 1 where the answer is wanted, 0 elsewhere, (B, C)."""
        count, asked = points.shape[1], self._asked
        labels = self._oracle.labels(points[asked].flatten(0, 1), rows=asked.cpu().repeat_interleave(count))
        target = None if self._target is None else self._target[asked, None]
        won = points.new_zeros(points.shape[:2])
        won[asked] = reached(labels.view(-1, count), self._y[asked, None], target).to(points)
        return won

    def shares(self, points: Tensor, times: int) -> Tensor:
        """The share of wanted answers in several queries of the same points: (B, C, ...) to (B, C)."""
        total = self.once(points)
        for _ in range(times - 1):
            total = total + self.once(points)
        return total / times

    def best(self, candidates: Tensor, queries: int) -> Tensor:
        """The candidate of each example with the highest share of wanted answers, the first of equals.

        The queries go to fewer and fewer candidates: in each of log2(M) rounds the better half is asked further
        (successive halving: Jamieson & Talwalkar 2016, arXiv:1502.07943, figure 2).

        Args:
            candidates: M for each example, shape (B, M, ...).
            queries: the most points to ask about, for each example.

        Returns:
            Points, shape (B, ...).
        """
        examples, count = candidates.shape[:2]
        each = torch.arange(examples, device=candidates.device)
        left = torch.arange(count, device=candidates.device).expand(examples, count)
        won = candidates.new_zeros((examples, count))
        rounds, unspent = max(1, math.ceil(math.log2(count))), queries
        for number in range(rounds):
            kept = math.ceil(count / 2**number)
            order = won.gather(1, left).sort(dim=1, descending=True, stable=True).indices[:, :kept]
            left = left.gather(1, order.sort(dim=1).values)  # (B, kept), the first of equals still first
            points = candidates[each[:, None], left]  # (B, kept, ...)
            times = max(queries // (rounds * kept), 1 if number == 0 else 0)
            for _ in range(min(times, unspent // kept)):
                won = won.scatter_add(1, left, self.once(points))
                unspent -= kept
        return candidates[each, left[each, won.gather(1, left).argmax(1)]]


def over(values: Tensor, like: Tensor) -> Tensor:
    """Values, of shape (B,) or (B, C), with as many dimensions as ``like``, to multiply or to choose with."""
    return values.view(*values.shape, *[1] * (like.dim() - values.dim()))
