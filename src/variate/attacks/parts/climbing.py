"""Random local search on scores: greedy where answers are exact, a race of candidates where they are random."""

from __future__ import annotations

from math import isqrt
from typing import Protocol

import torch
from torch import Tensor

from variate.attacks.parts.score_queries import (
    SNAPSHOTS,
    best_of,
    is_snapshot,
    probe,
    probes,
    repeats_of,
    spread,
    values_of,
)
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

LEAST = 4  # queries: two tell whether the network is random, two compare a candidate with the point
SLOTS = 8  # candidates in a race at once
DOUBT = 200  # queries after which one more victory is asked for, then 4 times as many, 9 times ...


class Moves(Protocol):
    """Changes that may be tried. A move is a row of integers, and can be made from any point.

    Attributes:
        opposites: whether the moves of number 2 i and 2 i + 1 are opposite, so that the second is left out where the
            first was taken.
    """

    @property
    def opposites(self) -> bool:
        """Whether each move of an even number is followed by its opposite."""
        ...

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """The moves of given numbers.

        Args:
            points: where to move from, shape (N, ...).
            rows: the examples' numbers in the batch, shape (N,).
            tries: the moves' numbers, shape (N, M).
            progress: the share of the queries that is used.

        Returns:
            Moves, int64, shape (N, M, F).
        """

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """The points after one move each, inside the budget: (N, ...), (N,) and (N, F) to (N, ...)."""


def climb(oracle: ScoreOracle, start: Tensor, y: Tensor, loss: Loss, moves: Moves, *, queries: int) -> Tensor:
    """Moves that raise the averaged loss, one after another.

    An example whose answers repeat is climbed greedily: a candidate that is better than the remembered value replaces
    the point, until the loss is above 0. Where answers are random no value can be remembered, since the best of many
    lucky draws would never be beaten again. There candidates race: the point and ``SLOTS`` candidates meet the
    same draws in one query, a candidate collects its gains over the point in query after query, is dropped when
    their sum is not above 0, and replaces the point after enough of them: 1 + sqrt(queries used / 200), since gains
    shrink while the noise stays. Nothing stops early, and the last of several snapshots is chosen by averages.

    Args:
        oracle: gives averaged losses.
        start: inputs to begin at, shape (B, ...).
        y: labels, shape (B,).
        loss: to raise; above 0 is adversarial.
        moves: what may be tried.
        queries: the most inputs to ask about, for each example; from ``LEAST``.

    Returns:
        Inputs, shape (B, ...).
    """
    times = probes(queries)
    value, exact = probe(oracle, start, y, loss, times)
    rows = torch.arange(len(start), device=start.device)
    found = start.clone()
    found[exact] = _greedy(oracle, start[exact], value[exact], y[exact], loss, moves, rows[exact], queries - times)
    found[~exact] = _race(oracle, start[~exact], y[~exact], loss, moves, rows[~exact], queries - times)
    return found


def _greedy(
    oracle: ScoreOracle,
    points: Tensor,
    value: Tensor,
    y: Tensor,
    loss: Loss,
    moves: Moves,
    rows: Tensor,
    queries: int,
) -> Tensor:
    """Every candidate that is better than the remembered value is taken, until the loss is above 0."""
    tries = torch.zeros_like(rows)
    for used in range(queries):
        active = (value <= 0).nonzero()[:, 0]
        if not len(active):
            oracle.skip(queries - used)  # the race of the others meets the same draws as without these
            break
        now, whose = points[active], rows[active]
        move = moves.propose(now, whose, tries[active, None], used / queries)[:, 0]  # (A, F)
        candidate = moves.make(now, whose, move)
        reached = oracle.loss(candidate, y[active], loss, rows=whose)
        better = reached > value[active]
        points[active] = torch.where(spread(better, now), candidate, now)
        value[active] = torch.where(better, reached, value[active])
        skipped = better & (tries[active] % 2 == 0) if moves.opposites else torch.zeros_like(better)
        tries[active] += 1 + skipped.long()
    return points


def _race(
    oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, moves: Moves, rows: Tensor, queries: int
) -> Tensor:
    """Candidates collect gains over the point under the same draws, and replace it after enough of them."""
    slots = min(SLOTS, max(1, queries // 4))
    repeats = repeats_of(queries)
    rounds = (queries - repeats * SNAPSHOTS) // (slots + 1)
    if not len(rows):
        return points
    free = torch.ones(len(rows), slots, dtype=torch.bool, device=points.device)
    tries, seen = torch.zeros_like(rows), torch.zeros_like(free, dtype=torch.long)
    gains = points.new_zeros(free.shape)
    move, snapshots = None, []
    for number in range(rounds):
        fresh = moves.propose(points, rows, tries[:, None] + free.cumsum(1) - free.long(), number / rounds)
        move = fresh if move is None else torch.where(free[..., None], fresh, move)  # (N, slots, F)
        tries += free.sum(1)
        values = values_of(oracle, _field(points, rows, moves, move), y, loss, rows)  # (N, 1 + slots)
        gains = gains.masked_fill(free, 0.0) + values[:, 1:] - values[:, :1]
        seen = seen.masked_fill(free, 0) + 1
        won = (gains > 0) & (seen > isqrt(number * (slots + 1) // DOUBT))
        for slot in range(slots):  # gains of several winners add up, nearly, where they change other values
            winners = won[:, slot].nonzero()[:, 0]
            if len(winners):
                points[winners] = moves.make(points[winners], rows[winners], move[winners, slot])
        free = won | ~(gains > 0)
        if is_snapshot(number, rounds):
            snapshots.append(points.clone())
    return best_of(oracle, snapshots[::-1], y, loss, rows=rows, repeats=repeats)


def _field(points: Tensor, rows: Tensor, moves: Moves, move: Tensor) -> Tensor:
    """Each point and its candidates: (N, ...) and (N, slots, F) to (N, 1 + slots, ...)."""
    slots = move.shape[1]
    candidates = moves.make(
        points.repeat_interleave(slots, 0), rows.repeat_interleave(slots), move.flatten(0, 1)
    )  # (N * slots, ...)
    return torch.cat([points[:, None], candidates.view(len(points), slots, *points.shape[1:])], 1)
