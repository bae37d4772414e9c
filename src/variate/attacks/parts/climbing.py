"""Random local search on scores: greedy where answers are exact, a race of candidates where they are random."""

from __future__ import annotations

from math import isqrt
from typing import Protocol

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.score_queries import (
    SNAPSHOTS,
    best_of,
    is_snapshot,
    probe,
    probes,
    repeats_of,
    values_of,
)
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

MIN_QUERIES = 4  # two queries test whether the network is random, two compare a candidate with the point
SLOTS = 8  # candidates that race at the same time
DOUBT = 200  # queries after which one more round is required to win; another after 4 times as many, 9 times ...


class Moves(Protocol):
    """The moves a search may try. A move is a row of integers and can be applied at any point.

    Attributes:
        opposites: whether moves 2 i and 2 i + 1 are opposite, so that the second is skipped after the first was
            accepted.
    """

    @property
    def opposites(self) -> bool:
        """Whether each even-numbered move is followed by its opposite."""
        ...

    def propose(self, points: Tensor, rows: Tensor, tries: Tensor, progress: float) -> Tensor:
        """Return the moves with the given numbers.

        Args:
            points: the current points, shape (N, ...).
            rows: index of each example in the batch, shape (N,).
            tries: numbers of the moves, shape (N, M).
            progress: fraction of the queries already used.

        Returns:
            Moves, int64, shape (N, M, F).
        """

    def make(self, points: Tensor, rows: Tensor, moves: Tensor) -> Tensor:
        """Apply one move to each point, within the budget: (N, ...), (N,) and (N, F) to (N, ...)."""


def climb(oracle: ScoreOracle, start: Tensor, y: Tensor, loss: Loss, moves: Moves, *, queries: int) -> Tensor:
    """Raise the averaged loss by accepting moves that improve it.

    Where an example's answers repeat, the search is greedy: a candidate that beats the remembered value replaces the
    point, until the loss is above 0. Where answers are random, no value can be remembered: the best of many lucky draws
    would never be beaten again. There, candidates race: the point and ``SLOTS`` candidates are evaluated under the same
    draws in one query, and a candidate accumulates its gains over the point from query to query. It is dropped as soon
    as their sum is not above 0, and replaces the point after 1 + sqrt(queries used / 200) queries; the number grows
    because gains shrink while the noise stays. Nothing stops early, and averaged losses select the best of several
    snapshots.

    Args:
        oracle: returns averaged losses.
        start: initial inputs, shape (B, ...).
        y: labels, shape (B,).
        loss: the loss to maximize; above 0 means adversarial.
        moves: the moves to try.
        queries: maximum number of inputs queried per example, at least ``MIN_QUERIES``.

    Returns:
        Inputs, shape (B, ...).
    """
    repeats = probes(queries)
    value, exact = probe(oracle, start, y, loss, repeats)
    rows = torch.arange(len(start), device=start.device)
    perturbed = start.clone()
    perturbed[exact] = _greedy(
        oracle, start[exact], value[exact], y[exact], loss, moves, rows[exact], queries - repeats
    )
    perturbed[~exact] = _race(oracle, start[~exact], y[~exact], loss, moves, rows[~exact], queries - repeats)
    return perturbed


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
    """Accept every candidate that beats the remembered value, until the loss is above 0."""
    tries = torch.zeros_like(rows)
    for used in range(queries):
        active = (value <= 0).nonzero()[:, 0]
        if not len(active):
            oracle.skip(queries - used)  # the race of the others meets the same draws as without these
            break
        current, active_rows = points[active], rows[active]
        move = moves.propose(current, active_rows, tries[active, None], used / queries)[:, 0]  # (A, F)
        candidate = moves.make(current, active_rows, move)
        candidate_value = oracle.loss(candidate, y[active], loss, rows=active_rows)
        better = candidate_value > value[active]
        points[active] = torch.where(unsqueeze_to(better, current), candidate, current)
        value[active] = torch.where(better, candidate_value, value[active])
        skipped = better & (tries[active] % 2 == 0) if moves.opposites else torch.zeros_like(better)
        tries[active] += 1 + skipped.long()
    return points


def _race(
    oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, moves: Moves, rows: Tensor, queries: int
) -> Tensor:
    """Let candidates accumulate gains over the point under the same draws, and accept those that keep gaining."""
    slots = min(SLOTS, max(1, queries // 4))
    repeats = repeats_of(queries)
    rounds = (queries - repeats * SNAPSHOTS) // (slots + 1)
    if not len(rows):
        oracle.skip(rounds + repeats)
        return points
    free = torch.ones(len(rows), slots, dtype=torch.bool, device=points.device)
    tries, rounds_raced = torch.zeros_like(rows), torch.zeros_like(free, dtype=torch.long)
    gains = points.new_zeros(free.shape)
    move, snapshots = None, []
    for step in range(rounds):
        proposed = moves.propose(points, rows, tries[:, None] + free.cumsum(1) - free.long(), step / rounds)
        move = proposed if move is None else torch.where(free[..., None], proposed, move)  # (N, slots, F)
        tries += free.sum(1)
        values = values_of(oracle, _field(points, rows, moves, move), y, loss, rows)  # (N, 1 + slots)
        gains = gains.masked_fill(free, 0.0) + values[:, 1:] - values[:, :1]
        rounds_raced = rounds_raced.masked_fill(free, 0) + 1
        won = (gains > 0) & (rounds_raced > isqrt(step * (slots + 1) // DOUBT))
        for slot in range(slots):  # several winners change mostly different values, so their gains nearly add up
            winners = won[:, slot].nonzero()[:, 0]
            if len(winners):
                points[winners] = moves.make(points[winners], rows[winners], move[winners, slot])
        free = won | ~(gains > 0)
        if is_snapshot(step, rounds):
            snapshots.append(points.clone())
    return best_of(oracle, snapshots[::-1], y, loss, rows=rows, repeats=repeats)


def _field(points: Tensor, rows: Tensor, moves: Moves, move: Tensor) -> Tensor:
    """Each point and its candidates: (N, ...) and (N, slots, F) to (N, 1 + slots, ...)."""
    slots = move.shape[1]
    candidates = moves.make(
        points.repeat_interleave(slots, 0), rows.repeat_interleave(slots), move.flatten(0, 1)
    )  # (N * slots, ...)
    return torch.cat([points[:, None], candidates.view(len(points), slots, *points.shape[1:])], 1)
