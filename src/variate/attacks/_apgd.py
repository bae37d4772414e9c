"""Auto-PGD: gradient ascent whose step size follows from how the loss moves (Croce & Hein 2020, arXiv:2003.01690).

On a deterministic network this is algorithm 1 as published. On a random one the loss of a step is a mean over fresh
draws, so the largest of a hundred is a lucky one. The best point is therefore not kept by its remembered loss: at every
checkpoint the incumbent, the window's best and the present point are put to the same fresh draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from variate.attacks._ranking import best_of, ranked
from variate.attacks._starts import in_ball
from variate.attacks._steps import check_steps
from variate.budget import Budget
from variate.losses import Loss, aimed
from variate.oracle import GradientOracle

MOMENTUM = 0.75  # alpha, section 3.1
RISES = 0.75  # rho, the share of a window's steps that must raise the loss, section 3.2


@dataclass
class _Point:
    """Points with the gradients there: shapes (B, ...) both."""

    x: Tensor
    gradient: Tensor

    def take(self, chosen: Tensor, other: _Point) -> None:
        """Replace the points of ``chosen``, shape (B,), by another's."""
        mask = chosen.view(-1, *[1] * (self.x.dim() - 1))
        self.x, self.gradient = other.x.where(mask, self.x), other.gradient.where(mask, self.gradient)


def auto_pgd(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    *,
    budget: Budget,
    target: Tensor | None,
    steps: int,
    restarts: int,
) -> Tensor:
    """Auto-PGD on one loss from random starts, the best of them by averaged scores.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        loss: what is raised.
        budget: the norm and the size.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of gradient steps, from 1.
        restarts: number of starts, from 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    check_steps("Auto-PGD", steps=steps, restarts=restarts)
    raised, labels = aimed(loss, y, target)
    rank, coins = ranked(raised, aimed=target is not None), oracle.coins(x)
    found = []
    for restart in range(restarts):
        start = budget.project(x + in_ball(coins, x, budget, f"start {restart}"), x)
        found.append(ascend(oracle, x, labels, start, budget=budget, loss=raised, rank=rank, steps=steps))
    if restarts == 1:
        return found[0]
    candidates = torch.stack(found)  # (R, B, ...)
    return candidates[best_of(oracle, candidates, labels, rank), torch.arange(len(x), device=x.device)]


def ascend(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    start: Tensor,
    *,
    budget: Budget,
    loss: Loss,
    rank: Loss,
    steps: int,
    rows: Tensor | None = None,
) -> Tensor:
    """The best point on the way up from a start.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels that the loss is of, shape (B,).
        start: points inside the budget, shape (B, ...).
        budget: the norm and the size.
        loss: what is raised.
        rank: what the best point is chosen by.
        steps: number of gradient steps.
        rows: the examples in the batch of the oracle; in order without it.

    Returns:
        Perturbed inputs inside the budget, shape (B, ...).
    """
    value, gradient = oracle.gradient(start, y, loss, rows=rows)
    now, before = _Point(start, gradient), start
    best, top = _Point(start, gradient), _Point(start, gradient)  # of all, and of the present window
    top_value = value
    size = x.new_full((len(x),), 2 * budget.eps)
    rises = torch.zeros(len(x), device=x.device)
    halved = torch.ones(len(x), dtype=torch.bool, device=x.device)  # at the checkpoint before, or none was yet
    windows = _windows(steps)
    for step in range(1, steps + 1):
        moved = _move(now, before, size, x, budget, first=step == 1)
        before, last = now.x, value
        value, gradient = oracle.gradient(moved, y, loss, rows=rows)
        now = _Point(moved, gradient)
        rises += value > last
        higher = value > top_value
        top.take(higher, now)
        top_value = value.where(higher, top_value)
        if step not in windows:
            continue
        improved = _keep_best(oracle, y, rank, rows, best, top, now)
        stuck = (rises < RISES * windows[step]) | (~halved & ~improved)
        size = size.where(~stuck, size / 2)
        now.take(stuck, best)
        before = _where(stuck, best.x, before)
        value, top_value = value.where(~stuck, top_value), top_value
        halved, rises = stuck, torch.zeros_like(rises)
        top = _Point(best.x, best.gradient)
    return best.x


def _keep_best(
    oracle: GradientOracle, y: Tensor, rank: Loss, rows: Tensor | None, best: _Point, top: _Point, now: _Point
) -> Tensor:
    """Put three candidates to the same draws, keep the best of them, and say where it is a new one: (B,)."""
    candidates = torch.stack([best.x, top.x, now.x])  # (3, B, ...)
    winner = best_of(oracle, candidates, y, rank, rows)
    for number, point in enumerate((top, now), 1):
        best.take(winner == number, point)
    changed: Tensor = (best.x != candidates[0]).flatten(1).any(1)
    return changed


def _move(now: _Point, before: Tensor, size: Tensor, x: Tensor, budget: Budget, *, first: bool) -> Tensor:
    """One step with momentum, projected twice as published."""
    shaped = size.view(-1, *[1] * (x.dim() - 1))
    ahead = budget.project(now.x + shaped * budget.steepest(now.gradient), x)
    if first:
        return ahead
    return budget.project(now.x + MOMENTUM * (ahead - now.x) + (1 - MOMENTUM) * (now.x - before), x)


def _windows(steps: int) -> dict[int, int]:
    """The checkpoints, and how many steps lie between each and the one before; the last step is one."""
    ends, width = [0.0, 0.22], 0.22
    while ends[-1] < 1:
        width = max(width - 0.03, 0.06)
        ends.append(ends[-1] + width)
    marks = sorted({min(steps, -int(-end * steps // 1)) for end in ends if end > 0} | {steps})
    return {mark: mark - previous for previous, mark in zip([0, *marks], marks, strict=False)}


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return one.where(chosen.view(-1, *[1] * (one.dim() - 1)), other)
