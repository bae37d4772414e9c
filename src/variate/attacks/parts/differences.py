"""Gradient ascent with gradients estimated from differences of scores."""

from __future__ import annotations

from collections.abc import Callable

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
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

ROUNDING = 16  # units in the last place by which scores may differ by rounding alone

Step = Callable[[Tensor, Tensor, Tensor], Tensor]  # points (N, ...), gradients (N, ...), rows (N,) to new points


def differences(values: Tensor, others: Tensor) -> Tensor:
    """``values - others``, and 0 where rounding alone could explain it: an attack that scales would go where that says.

    Args:
        values: averaged losses, any shape.
        others: losses to compare them with, of a shape that broadcasts to theirs.
    """
    found = values - others
    rounding = ROUNDING * torch.finfo(values.dtype).eps * torch.maximum(values.abs(), others.abs())
    return torch.where(found.abs() > rounding, found, torch.zeros_like(found))


def steps_within(attack: str, queries: int, step_queries: int) -> int:
    """Return the number of steps that fit into a number of queries. Raises ``UsageError`` if not even one fits.

    Args:
        attack: name of the attack, for the error message.
        queries: maximum number of inputs queried per example.
        step_queries: number of inputs queried per step.
    """
    steps = (queries - probes(queries) - SNAPSHOTS * repeats_of(queries)) // step_queries
    if steps < 1:
        least = next(
            n
            for n in range(step_queries, 2 * step_queries + 100)
            if n - probes(n) - SNAPSHOTS * repeats_of(n) >= step_queries
        )
        raise UsageError(
            f"{queries} queries are too few for {attack}, whose steps take {step_queries} each",
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
    """Gradient ascent with gradients estimated from pairs of inputs on both sides of the point.

    g = mean over n of (loss(x + radius * d_n) - loss(x - radius * d_n)) * d_n / (2 * radius), with inputs clipped to
    [0, 1]. The point and all its neighbors are evaluated under the same draws in one query, so the noise of the draws
    cancels in the differences. Where an example's answers repeat, it stops once its loss is above 0; otherwise averaged
    losses select the best of four snapshots at the end.

    Args:
        oracle: returns averaged losses.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        loss: the loss to maximize; above 0 means adversarial.
        budget: the norm and the size.
        queries: maximum number of inputs queried per example.
        steps: number of steps, as computed by ``steps_within``.
        radius: step size of the finite differences.
        directions: maps the index of a step to directions of shape (B, n, ...).
        step: maps points and gradients to new points, which are then projected.

    Returns:
        Inputs inside the budget and [0, 1], shape (B, ...).
    """
    _, exact = probe(oracle, x, y, loss, probes(queries))
    points, done = x.clone(), torch.zeros_like(exact)
    snapshots = []
    for index in range(steps):
        rows = (~done).nonzero()[:, 0]
        if len(rows):
            value, gradient = _estimate(oracle, points[rows], y[rows], loss, radius, directions(index)[rows], rows)
            done[rows] = exact[rows] & (value > 0)
            moved = budget.project(step(points[rows], gradient, rows), x[rows])
            points[rows] = torch.where(unsqueeze_to(done[rows], moved), points[rows], moved)
        else:
            oracle.skip(1)
        if is_snapshot(index, steps):
            snapshots.append(points[~exact])
    rows = (~exact).nonzero()[:, 0]
    points[rows] = best_of(oracle, snapshots[::-1], y[rows], loss, rows=rows, repeats=repeats_of(queries))
    return points


def _estimate(
    oracle: ScoreOracle, points: Tensor, y: Tensor, loss: Loss, radius: float, directions: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Loss of each point, shape (N,), and its gradient estimated along directions of shape (N, n, ...)."""
    pairs = [points[:, None] + side * radius * directions for side in (1, -1)]
    values = values_of(oracle, torch.cat([points[:, None], *pairs], 1).clamp(0.0, 1.0), y, loss, rows)  # (N, 1 + 2 n)
    above, below = values[:, 1:].chunk(2, 1)  # (N, n)
    slopes = differences(above, below) / (2 * radius * directions.shape[1])
    gradient = (slopes[:, :, None] * directions.flatten(2)).sum(1).view_as(points)
    return values[:, 0], gradient
