"""Gradients from differences of scores, and the ascent along them."""

from __future__ import annotations

from collections.abc import Callable

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
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

Step = Callable[[Tensor, Tensor, Tensor], Tensor]  # points (N, ...), gradients (N, ...), rows (N,) to new points


def steps_within(attack: str, queries: int, asked: int) -> int:
    """How many steps of so many inputs each a number of queries pays for. Raises ``UsageError`` where it is none.

    Args:
        attack: the attack's name, for the error.
        queries: the most inputs to ask about, for each example.
        asked: inputs in one step.
    """
    steps = (queries - probes(queries) - SNAPSHOTS * repeats_of(queries)) // asked
    if steps < 1:
        least = next(n for n in range(asked, 2 * asked + 100) if n - probes(n) - SNAPSHOTS * repeats_of(n) >= asked)
        raise UsageError(
            f"{attack} cannot take a step of {asked} queries with {queries}",
            expected=f"at least {least} queries, or fewer samples",
        )
    return steps


def ascend(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    *,
    budget: Budget,
    queries: int,
    steps: int,
    radius: float,
    directions: Callable[[int], Tensor],
    step: Step,
) -> Tensor:
    """Steps along gradients that are estimated from pairs of inputs on both sides of the point.

    g = mean over n of (loss(x + radius * d_n) - loss(x - radius * d_n)) * d_n / (2 * radius), the inputs cut to [0, 1].
    The point and all its neighbors meet the same draws in one query, so that the noise of a draw cancels in the
    differences. An example whose answers repeat rests once its loss is above 0; of any other, averages choose among
    four snapshots at the end.

    Args:
        oracle: gives averaged losses.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        loss: to raise; above 0 is adversarial.
        budget: the norm and the size.
        queries: the most inputs to ask about, for each example.
        steps: how many steps, from ``steps_within``.
        radius: of the differences.
        directions: of a step's number: shape (B, n, ...).
        step: from points and gradients to new points, which are then projected.

    Returns:
        Inputs inside the budget and [0, 1], shape (B, ...).
    """
    _, exact = probe(oracle, x, y, loss, probes(queries))
    points, rests = x.clone(), torch.zeros_like(exact)
    snapshots = []
    for number in range(steps):
        rows = (~rests).nonzero()[:, 0]
        if len(rows):
            value, gradient = _estimate(oracle, points[rows], y[rows], loss, radius, directions(number)[rows], rows)
            rests[rows] = exact[rows] & (value > 0)
            moved = budget.project(step(points[rows], gradient, rows), x[rows])
            points[rows] = torch.where(spread(rests[rows], moved), points[rows], moved)
        if is_snapshot(number, steps):
            snapshots.append(points[~exact])
    rows = (~exact).nonzero()[:, 0]
    points[rows] = best_of(oracle, snapshots[::-1], y[rows], loss, rows=rows, repeats=repeats_of(queries))
    return points


def _estimate(
    oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, radius: float, directions: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss of each point, shape (N,), and its gradient estimated along directions of shape (N, n, ...)."""
    pairs = [points[:, None] + side * radius * directions for side in (1, -1)]
    values = values_of(oracle, torch.cat([points[:, None], *pairs], 1).clamp(0.0, 1.0), y, loss, rows)  # (N, 1 + 2 n)
    above, below = values[:, 1:].chunk(2, 1)  # (N, n)
    slopes = (above - below) / (2 * radius * directions.shape[1])
    gradient = torch.einsum("nm,nmd->nd", slopes, directions.flatten(2)).view_as(points)
    return values[:, 0], gradient
