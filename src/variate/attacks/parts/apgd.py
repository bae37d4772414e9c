"""Auto-PGD: gradient ascent that adapts its step size to the progress of the loss.

On a deterministic network it is algorithm 1 of Croce & Hein 2020 (arXiv:2003.01690); in l1 it is the algorithm of
Croce & Hein 2021 (arXiv:2103.01208) with its three shrinking balls. On a random network the point with the largest
loss of all steps is a lucky one, so the best point is selected differently: see ``incumbent``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.attacks.parts.broadcast import unsqueeze_to
from variate.attacks.parts.incumbent import Climb
from variate.attacks.parts.l1_box import nearest_in_box
from variate.attacks.parts.ranking import best_index, ranked
from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.steps import check_steps
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss, aimed
from variate.oracle.randomness import Coins
from variate.oracle.white_box import GradientOracle

MOMENTUM = 0.75  # alpha, section 3.1 of the 2020 paper
RISES = 0.75  # rho, the fraction of steps in a window that must raise the loss, section 3.2 of the 2020 paper
BALLS = ((3, 0.3), (2, 0.3), (1, 0.4))  # l1: (radius / eps, fraction of the steps); the 2021 paper
SPARSE = 0.2  # l1: fraction of the values that the first steps change
SHRINK, MAX_SHRINK = 1.5, 10  # l1: divisor of the sparsity and of the step; maximum total divisor of the step
FEWER = 0.95  # l1: a perturbation with fewer than this fraction of the previous changes has become sparser
WINDOW = 0.04  # l1: fraction of the steps between two updates of the sparsity


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
    """Auto-PGD on one loss from several random starts; the best result by averaged scores.

    Args:
        oracle: returns the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        loss: the loss to maximize.
        budget: the norm and the size.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        restarts: number of random starts, at least 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    check_steps("Auto-PGD", steps=steps, restarts=restarts)
    objective, labels = aimed(loss, y, target)
    rank, coins = ranked(objective, aimed=target is not None), oracle.coins(x)
    results = [
        ascend(oracle, x, labels, coins, f"start {restart}", budget=budget, loss=objective, rank=rank, steps=steps)
        for restart in range(restarts)
    ]
    if restarts == 1:
        return results[0]
    candidates = torch.stack(results)  # (R, B, ...)
    return candidates[best_index(oracle, candidates, labels, rank), torch.arange(len(x), device=x.device)]


def ascend(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    coins: Coins,
    purpose: str,
    *,
    budget: Budget,
    loss: Loss,
    rank: Loss,
    steps: int,
    rows: Tensor | None = None,
) -> Tensor:
    """Run one ascent from a random start and return its best point.

    Args:
        oracle: returns the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels that the loss takes, shape (B,).
        coins: the attacker's random numbers, for the oracle's whole batch.
        purpose: name of the random start; a different name gives a different start.
        budget: the norm and the size.
        loss: the loss to maximize.
        rank: the score that selects the best point.
        steps: number of gradient steps.
        rows: indices of the examples in the oracle's batch, shape (B,); all of them, in order, if None.

    Returns:
        Perturbed inputs inside the budget, shape (B, ...).
    """
    l1 = budget.norm == "l1"
    offset = coins.normal(purpose, x.shape[1:]) if l1 else in_ball(coins, x, budget, purpose)
    point = x + (offset if rows is None else offset[rows])
    if not l1:
        climb = Climb(oracle, budget.project(point, x), y, loss=loss, rank=rank, rows=rows)
        return _climb(climb, x, budget, steps)
    sparsity = x.new_full((len(x),), SPARSE)
    for factor, ball_steps in _balls(steps):
        eps = factor * budget.eps
        climb = Climb(oracle, nearest_in_box(point, x, eps), y, loss=loss, rank=rank, rows=rows)
        point = _climb_l1(climb, x, eps, ball_steps, sparsity)
        sparsity = _changed(point, x) / SHRINK
    return point


def _climb(climb: Climb, x: Tensor, budget: Budget, steps: int) -> Tensor:
    """Steps with momentum; the step is halved at checkpoints without enough progress. For linf and l2."""
    before = climb.now.x
    size = x.new_full((len(x),), 2 * budget.eps)
    rises = torch.zeros(len(x), device=x.device)
    halved = torch.ones(len(x), dtype=torch.bool, device=x.device)  # at the previous checkpoint
    windows = _windows(steps)
    for step in range(1, steps + 1):
        now = climb.now.x
        moved = budget.project(now + unsqueeze_to(size, x) * budget.steepest(climb.now.gradient), x)
        if step > 1:
            moved = budget.project(now + MOMENTUM * (moved - now) + (1 - MOMENTUM) * (now - before), x)
        before = now
        rises += climb.step(moved)
        if step not in windows:
            continue
        improved = climb.close_window()
        halved = (rises < RISES * windows[step]) | (~halved & ~improved)
        size = size.where(~halved, size / 2)
        climb.back_to_best(halved)
        before = climb.best.x.where(unsqueeze_to(halved, x), before)
        rises = torch.zeros_like(rises)
    return climb.best.x


def _climb_l1(climb: Climb, x: Tensor, eps: float, steps: int, sparsity: Tensor) -> Tensor:
    """Steps that change a fraction ``sparsity`` (B,) of the values; it then follows the best perturbation."""
    width = max(1, int(WINDOW * steps))
    size, changed = x.new_full((len(x),), eps), torch.ones_like(sparsity)
    for step in range(1, steps + 1):
        moved = climb.now.x + unsqueeze_to(size, x) * _sparse_sign(climb.now.gradient, sparsity)
        climb.step(nearest_in_box(moved, x, eps))
        if step % width and step < steps:
            continue
        climb.close_window()
        previous, changed = changed, _changed(climb.best.x, x)
        sparser = changed < FEWER * previous
        sparsity = changed / SHRINK
        size = torch.where(sparser, eps, (size / SHRINK).clamp(min=eps / MAX_SHRINK))
        climb.back_to_best(sparser)
    return climb.best.x


def _sparse_sign(gradient: Tensor, sparsity: Tensor) -> Tensor:
    """Signs of the largest gradients, a fraction ``sparsity`` (B,) of all, as a step of l1 length 1: (B, ...)."""
    flat = gradient.flatten(1)
    sizes = flat.abs()
    last = (sparsity * flat.shape[1]).long().clamp(1, flat.shape[1]) - 1
    threshold = sizes.sort(1, descending=True).values.gather(1, last[:, None])
    signs = flat.sign() * (sizes >= threshold)
    return (signs / signs.abs().sum(1, keepdim=True).clamp(min=1)).view_as(gradient)


def _changed(perturbed: Tensor, x: Tensor) -> Tensor:
    """Fraction of the values that differ: (B,)."""
    return (perturbed != x).flatten(1).to(x).mean(1)


def _balls(steps: int) -> list[tuple[int, int]]:
    """Radius factor and number of steps of each shrinking ball; the last ball gets the remaining steps."""
    first, second = (int(share * steps) for _, share in BALLS[:2])
    counts = (first, second, steps - first - second)
    return [(factor, count) for (factor, _), count in zip(BALLS, counts, strict=True) if count]


def _windows(steps: int) -> dict[int, int]:
    """Each checkpoint (a step) and the number of steps since the previous one; the last step is a checkpoint."""
    ends, width = [0.22], 0.22
    while ends[-1] < 1:
        width = max(width - 0.03, 0.06)
        ends.append(ends[-1] + width)
    marks = sorted({min(steps, math.ceil(round(end * steps, 6))) for end in ends} | {steps})
    return {mark: mark - previous for previous, mark in zip([0, *marks], marks, strict=False)}
