"""The fast minimum-norm attack."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from variate.attacks._steps import check_steps
from variate.budget import Budget
from variate.losses import Loss, aimed, margin
from variate.oracle import GradientOracle
from variate.registry import attack

DUAL = {"linf": 1.0, "l2": 2.0, "l1": float("inf")}
SHRINK_FIRST, SHRINK_LAST = 0.05, 1e-4  # gamma, section 2
STEP_FIRST, STEP_LAST = 1.0, 0.01  # alpha
STRETCHES = (1.0, 1.03, 1.1, 1.25, 1.5)  # of the perturbation, tried at the end


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image",),
    cite="Pintor et al. 2021, arXiv:2102.12827, algorithm 1",
    targeted=True,
    minimal=True,
    quick={"steps": 200},
)
def fmn(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: int = 100,
    confidence: float = 0.0,
) -> Tensor:
    """The smallest perturbation whose averaged margin is above the confidence.

    Steps along the gradient of the margin, each projected onto a ball that shrinks while the point is adversarial and
    grows while it is not. The ball never outgrows the budget, so that the best inside it is found where the smallest
    perturbation lies outside. What counts as adversarial is the margin averaged over the draws of a step; of a hundred
    such averages the smallest success is a lucky one, so at the end the perturbation is stretched by as little as
    makes it adversarial under fresh draws (by nothing on a deterministic network).

    Args:
        oracle: gives the averaged margin and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm, and the largest size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of gradient steps, from 1.
        confidence: the averaged margin that an adversarial input exceeds, in logits.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step.
    """
    check_steps("fmn", steps=steps)
    loss, labels = aimed(margin, y, target)
    perturbed, best = x, x
    smallest = x.new_full((len(x),), torch.inf)  # the size of the best perturbation
    radius = x.new_full((len(x),), 1.0 if budget.norm == "l0" else torch.inf)
    for step in range(steps):
        value, gradient = oracle.gradient(perturbed, labels, loss)
        size = budget.distance(perturbed, x)
        won = value > confidence
        closer = won & (size < smallest)
        best, smallest = _where(closer, perturbed, best), size.where(closer, smallest)
        shrink = _cosine(SHRINK_FIRST, SHRINK_LAST, step, steps)
        radius = _radius(budget, radius, shrink, won, size, smallest, confidence - value, gradient)
        length = _cosine(STEP_FIRST, STEP_LAST, step, steps)
        moved = budget.nearest(perturbed + length * _unit(gradient) - x, radius)
        perturbed = budget.project((x + moved).clamp(0, 1), x)
    found = _where(smallest < torch.inf, best, perturbed)
    return _stretched(oracle, x, found, labels, loss, budget, confidence)


def _radius(
    budget: Budget,
    radius: Tensor,
    shrink: float,
    won: Tensor,
    size: Tensor,
    smallest: Tensor,
    gap: Tensor,
    gradient: Tensor,
) -> Tensor:
    """The size of the next ball: (B,). Before the first success it is that of the linearized boundary."""
    never = smallest == torch.inf
    if budget.norm == "l0":
        larger = torch.maximum(radius + 1, (radius * (1 + shrink)).floor())
        smaller = torch.minimum(torch.minimum(radius - 1, (radius * (1 - shrink)).floor()), smallest - 1)
        return smaller.where(won, larger).clamp(1, float(budget.size))
    slope = gradient.flatten(1).norm(p=DUAL[budget.norm], dim=1)
    estimate = size + gap / slope.where(slope > 0, 1.0)
    larger = estimate.where(never, radius * (1 + shrink))
    smaller = torch.minimum(radius * (1 - shrink), smallest)
    return smaller.where(won, larger).clamp(max=budget.eps)


def _stretched(
    oracle: GradientOracle, x: Tensor, found: Tensor, y: Tensor, loss: Loss, budget: Budget, confidence: float
) -> Tensor:
    """The perturbation times the least factor that makes it adversarial under draws that are the same for all."""
    factors = (1.0,) if budget.norm == "l0" else STRETCHES
    candidates = torch.stack([budget.project(x + factor * (found - x), x) for factor in factors])  # (F, B, ...)
    rows = torch.arange(len(x)).repeat(len(factors))
    values = oracle.loss(candidates.flatten(0, 1), y.repeat(len(factors)), loss, rows=rows)
    won = values.view(len(factors), -1) > confidence  # (F, B)
    least = won.int().argmax(0).where(won.any(0), len(factors) - 1)  # the first that wins, the largest if none does
    chosen: Tensor = candidates[least, torch.arange(len(x), device=x.device)]
    return chosen


def _unit(gradient: Tensor) -> Tensor:
    length = gradient.flatten(1).norm(dim=1).view(-1, *[1] * (gradient.dim() - 1))
    unit: Tensor = gradient / length.where(length > 0, 1.0)
    return unit


def _cosine(first: float, last: float, step: int, steps: int) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * step / steps)) / 2


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return one.where(chosen.view(-1, *[1] * (one.dim() - 1)), other)
