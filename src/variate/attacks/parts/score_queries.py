"""What attacks that see scores ask: several inputs for each example, whether answers repeat, which one is best."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

REPEATS = 10  # equal answers to one input after which an example's answers are taken to be exact
SNAPSHOTS = 4  # of a search, among which averages choose at its end
FINAL = 25  # one query in so many is kept for that
SAME = 1e-4, 1e-6  # relative and absolute difference of equal answers: the rounding of unordered sums on a GPU


def values_of(oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, rows: Tensor) -> Tensor:
    """The averaged losses of M inputs for each example, all in one query, so that all meet the same draws.

    Args:
        oracle: gives averaged losses.
        points: inputs, shape (N, M, ...).
        y: labels, shape (N,).
        loss: to raise.
        rows: the number of each example in the batch, shape (N,).

    Returns:
        Losses, shape (N, M).
    """
    asked = points.shape[1]
    values = oracle.loss(
        points.flatten(0, 1), y.repeat_interleave(asked), loss, rows=rows.repeat_interleave(asked)
    )  # (N * M,)
    return values.view(len(points), asked)


def probe(oracle: ScoreOracle, x: Tensor, y: Tensor, loss: Loss, times: int) -> tuple[Tensor, Tensor]:
    """The same inputs asked several times: the last averaged loss, and whether all answers were equal.

    This is how an attacker finds out whether a network is random. Answers that repeat are exact: remembering them is
    right, and an example may be left alone once it is adversarial. Any other answer is one lucky draw.

    Args:
        oracle: gives averaged losses.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        loss: to raise.
        times: how often, from 1; once tells nothing, and takes every answer to be exact.

    Returns:
        The loss, shape (B,), and whether it is exact, shape (B,).
    """
    relative, absolute = SAME
    first = value = oracle.loss(x, y, loss)
    exact = torch.ones(len(x), dtype=torch.bool, device=x.device)
    for _ in range(times - 1):
        value = oracle.loss(x, y, loss)
        exact &= (value - first).abs() <= relative * first.abs() + absolute
    return value, exact


def probes(queries: int) -> int:
    """How many of an attack's queries find out whether the network is random: one in a hundred, from 2 to 10."""
    return min(max(queries // 100, 2), REPEATS)


def repeats_of(queries: int) -> int:
    """How often the snapshots of a search are asked about at its end: one query in 25 is kept for that."""
    return queries // FINAL // SNAPSHOTS


def is_snapshot(number: int, steps: int) -> bool:
    """Whether a snapshot is taken after a step: after the last one, and three times before, evenly."""
    return (number + 1) * SNAPSHOTS // steps > number * SNAPSHOTS // steps


def best_of(
    oracle: ScoreOracle, found: Sequence[Tensor], y: Tensor, loss: Loss, *, rows: Tensor, repeats: int
) -> Tensor:
    """For each example the input with the highest loss averaged over several queries, the first of equals.

    Args:
        oracle: gives averaged losses.
        found: M tensors of inputs, each of shape (N, ...).
        y: labels, shape (N,).
        loss: to raise.
        rows: the number of each example in the batch, shape (N,).
        repeats: how many queries, each of all M inputs; with 0 the first input is taken.

    Returns:
        Inputs, shape (N, ...).
    """
    points = torch.stack(list(found), 1)  # (N, M, ...)
    total = points.new_zeros(points.shape[:2])  # (N, M)
    for _ in range(repeats):
        total += values_of(oracle, points, y, loss, rows)
    return points[torch.arange(len(points), device=points.device), total.argmax(1)]


def spread(values: Tensor, like: Tensor) -> Tensor:
    """One value per example, to multiply or to choose with: (N,) to (N, 1, ...) as ``like``, shape (N, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))
