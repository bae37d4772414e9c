"""Auto-PGD: gradient ascent whose step size follows from how the loss moves.

On a deterministic network it is algorithm 1 of Croce & Hein 2020 (arXiv:2003.01690), in l1 the algorithm of Croce &
Hein 2021 (arXiv:2103.01208) with its three shrinking balls. On a random one the best point is not the one
whose loss was the largest of all steps, because that is a lucky one: see ``_incumbent``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.attacks.parts.incumbent import Climb
from variate.attacks.parts.l1_box import nearest_in_box
from variate.attacks.parts.ranking import best_of, ranked
from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.steps import check_steps
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss, aimed
from variate.oracle.oracle import GradientOracle
from variate.oracle.randomness import Coins

MOMENTUM = 0.75  # alpha, section 3.1 of the first paper
RISES = 0.75  # rho, the share of a window's steps that must raise the loss, section 3.2 of the first paper
BALLS = ((3, 0.3), (2, 0.3), (1, 0.4))  # l1: times eps, for a share of the steps; the second paper
SPARSE = 0.2  # l1: of the values, moved by the first steps
SHRINK, LEAST = 1.5, 10  # l1: what sparsity and step are divided by, and the step at most in all
FEWER = 0.95  # l1: a perturbation with no more than this share of the changes has become sparser
WINDOW = 0.04  # l1: of the steps, between two looks at the sparsity


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
    found = [
        ascend(oracle, x, labels, coins, f"start {restart}", budget=budget, loss=raised, rank=rank, steps=steps)
        for restart in range(restarts)
    ]
    if restarts == 1:
        return found[0]
    candidates = torch.stack(found)  # (R, B, ...)
    return candidates[best_of(oracle, candidates, labels, rank), torch.arange(len(x), device=x.device)]


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
    """The best point on the way up from a random start.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels that the loss is of, shape (B,).
        coins: the attacker's, of the oracle's whole batch.
        purpose: another one gives another start.
        budget: the norm and the size.
        loss: what is raised.
        rank: what the best point is chosen by.
        steps: number of gradient steps.
        rows: the examples in the batch of the oracle; in order without it.

    Returns:
        Perturbed inputs inside the budget, shape (B, ...).
    """
    l1 = budget.norm == "l1"
    away = coins.normal(purpose, x.shape[1:]) if l1 else in_ball(coins, x, budget, purpose)
    point = x + (away if rows is None else away[rows])
    if not l1:
        climb = Climb(oracle, budget.project(point, x), y, loss=loss, rank=rank, rows=rows)
        return _climb(climb, x, budget, steps)
    sparsity = x.new_full((len(x),), SPARSE)
    for factor, count in _balls(steps):
        eps = factor * budget.eps
        climb = Climb(oracle, nearest_in_box(point, x, eps), y, loss=loss, rank=rank, rows=rows)
        point = _climb_l1(climb, x, eps, count, sparsity)
        sparsity = _changed(point, x) / SHRINK
    return point


def _climb(climb: Climb, x: Tensor, budget: Budget, steps: int) -> Tensor:
    """Steps with momentum; at checkpoints the step is halved where it brings nothing more. linf and l2."""
    before = climb.now.x
    size = x.new_full((len(x),), 2 * budget.eps)
    rises = torch.zeros(len(x), device=x.device)
    halved = torch.ones(len(x), dtype=torch.bool, device=x.device)  # at the checkpoint before, or there was none
    windows = _windows(steps)
    for step in range(1, steps + 1):
        now = climb.now.x
        moved = budget.project(now + _wide(size, x) * budget.steepest(climb.now.gradient), x)
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
        before = climb.best.x.where(_wide(halved, x), before)
        rises = torch.zeros_like(rises)
    return climb.best.x


def _climb_l1(climb: Climb, x: Tensor, eps: float, steps: int, sparsity: Tensor) -> Tensor:
    """Steps that move a share ``sparsity`` of the values, (B,); the share follows the best perturbation's."""
    width = max(1, int(WINDOW * steps))
    size, changed = x.new_full((len(x),), eps), torch.ones_like(sparsity)
    for step in range(1, steps + 1):
        ahead = climb.now.x + _wide(size, x) * _sparse_sign(climb.now.gradient, sparsity)
        climb.step(nearest_in_box(ahead, x, eps))
        if step % width and step < steps:
            continue
        climb.close_window()
        changed, old = _changed(climb.best.x, x), changed
        sparser = changed < FEWER * old
        sparsity = changed / SHRINK
        size = torch.where(sparser, eps, (size / SHRINK).clamp(min=eps / LEAST))
        climb.back_to_best(sparser)
    return climb.best.x


def _sparse_sign(gradient: Tensor, sparsity: Tensor) -> Tensor:
    """The signs of the largest gradients, a share ``sparsity`` of all, (B,), as a step of length 1 in l1."""
    flat = gradient.flatten(1)
    sizes = flat.abs()
    place = (sparsity * flat.shape[1]).long().clamp(1, flat.shape[1]) - 1
    least = sizes.sort(1, descending=True).values.gather(1, place[:, None])
    signs = flat.sign() * (sizes >= least)
    return (signs / signs.abs().sum(1, keepdim=True).clamp(min=1)).view_as(gradient)


def _changed(perturbed: Tensor, x: Tensor) -> Tensor:
    """The share of the values that differ: (B,)."""
    return (perturbed != x).flatten(1).to(x).mean(1)


def _balls(steps: int) -> list[tuple[int, int]]:
    """How many of the steps each of the shrinking balls gets; the last one gets what the others leave."""
    first, second = (int(share * steps) for _, share in BALLS[:2])
    counts = (first, second, steps - first - second)
    return [(factor, count) for (factor, _), count in zip(BALLS, counts, strict=True) if count]


def _windows(steps: int) -> dict[int, int]:
    """The checkpoints, and how many steps lie between each and the one before; the last step is one."""
    ends, width = [0.22], 0.22
    while ends[-1] < 1:
        width = max(width - 0.03, 0.06)
        ends.append(ends[-1] + width)
    marks = sorted({min(steps, math.ceil(round(end * steps, 6))) for end in ends} | {steps})
    return {mark: mark - previous for previous, mark in zip([0, *marks], marks, strict=False)}


def _wide(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))  # (B, 1, ...)
