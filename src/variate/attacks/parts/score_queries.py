"""Queries of score-based attacks: several inputs per example, a test for random answers, selection by averages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

REPEATS = 10  # equal answers to one input after which an example's answers count as exact
SNAPSHOTS = 4  # snapshots of a search; averaged losses select the best of them at the end
FINAL = 25  # one query in this many is reserved for that selection
SAME = 1e-4, 1e-6  # relative tolerance of equal answers, and absolute one on GPUs, which sum in varying order


def values_of(oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, rows: Tensor) -> Tensor:
    """Averaged losses of M inputs per example, all in one query and so under the same draws.

    Args:
        oracle: returns averaged losses.
        points: inputs, shape (N, M, ...).
        y: labels, shape (N,).
        loss: the loss to maximize.
        rows: index of each example in the batch, shape (N,).

    Returns:
        Losses, shape (N, M).
    """
    count = points.shape[1]
    values = oracle.loss(
        points.flatten(0, 1), y.repeat_interleave(count), loss, rows=rows.repeat_interleave(count)
    )  # (N * M,)
    return values.view(len(points), count)


def probe(oracle: ScoreOracle, x: Tensor, y: Tensor, loss: Loss, times: int) -> tuple[Tensor, Tensor]:
    """Query the same inputs several times: the last averaged loss, and whether all answers were equal.

    This is how an attacker detects a random network. Answers that repeat are exact: they can be remembered, and an
    example can be left alone once it is adversarial. Any other answer is one lucky draw.

    Args:
        oracle: returns averaged losses.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        loss: the loss to maximize.
        times: number of queries, at least 1; a single query cannot tell, and counts every answer as exact.

    Returns:
        The loss, shape (B,), and whether it is exact, shape (B,).
    """
    relative, absolute = SAME if x.is_cuda else (SAME[0], 0.0)  # logits may be in any unit
    first = value = oracle.loss(x, y, loss)
    exact = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(times - 1):
        value = oracle.loss(x, y, loss)
        exact &= (value - first).abs() <= relative * first.abs() + absolute
    return value, exact


def probes(queries: int) -> int:
    """Number of an attack's queries that test whether the network is random: one in a hundred, from 2 to 10."""
    return min(max(queries // 100, 2), REPEATS)


def repeats_of(queries: int) -> int:
    """Number of times the snapshots of a search are queried at its end: one query in 25 is reserved for that."""
    return queries // FINAL // SNAPSHOTS


def is_snapshot(step: int, steps: int) -> bool:
    """Whether to take a snapshot after a step: four times in all, evenly spaced, the last time after the last step."""
    return (step + 1) * SNAPSHOTS // steps > step * SNAPSHOTS // steps


def best_of(
    oracle: ScoreOracle, candidates: Sequence[Tensor], y: Tensor, loss: Loss, *, rows: Tensor, repeats: int
) -> Tensor:
    """For each example, the input with the highest loss averaged over several queries, the first of equals.

    Args:
        oracle: returns averaged losses.
        candidates: M tensors of inputs, each of shape (N, ...).
        y: labels, shape (N,).
        loss: the loss to maximize.
        rows: index of each example in the batch, shape (N,).
        repeats: number of queries, each of all M inputs; with 0 the first input is returned.

    Returns:
        Inputs, shape (N, ...).
    """
    points = torch.stack(list(candidates), 1)  # (N, M, ...)
    total = points.new_zeros(points.shape[:2])  # (N, M)
    for _ in range(repeats):
        total += values_of(oracle, points, y, loss, rows)
    return points[torch.arange(len(points), device=points.device), total.argmax(1)]
