"""The fast minimum-norm attack."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.lengths import lengths, unit
from variate.attacks.parts.schedules import cosine
from variate.attacks.parts.smallest import Smallest
from variate.inputs.budget import Budget
from variate.limits import Count, NotNegative
from variate.oracle.losses import aimed, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

DUAL = {"linf": 1.0, "l2": 2.0, "l1": float("inf")}
SHRINK_FIRST, SHRINK_LAST = 0.05, 1e-4  # gamma, section 2
STEP_FIRST, STEP_LAST = 1.0, 0.01  # alpha


@attack(
    access="gradient",
    norms=("linf", "l2", "l1", "l0"),
    modality=("image", "audio", "text", "tabular"),
    cite="Pintor et al. 2021, arXiv:2102.12827, algorithm 1",
    targeted=True,
    minimal=True,
    quick={"steps": 100},
)
def fmn(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 100,
    confidence: NotNegative = 0.0,
) -> Tensor:
    """The smallest perturbation whose averaged margin exceeds the confidence.

    Steps along the gradient of the margin, each projected onto a ball that shrinks while the point is adversarial and
    grows while it is not. A point is adversarial by the margin averaged over the draws of a step.

    Differences from the paper: except in l0 the ball never grows beyond the budget, so that the best point inside is
    found where the smallest perturbation lies outside; in l0 a ball that is small from the start would commit to the
    values it changes first. The ball shrinks at most to the size of the current success, not to the smallest one so
    far, and the smallest of each quarter of the steps are evaluated on fresh draws at the end: the smallest of a
    hundred successes is a lucky one.

    Args:
        oracle: returns the averaged margin and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the maximum size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        confidence: averaged margin, in logits, above which an input counts as adversarial.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` is below 1.
    """
    loss, labels = aimed(margin, y, target)
    smallest, perturbed = Smallest(x, budget, steps), x
    ever = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    radius = x.new_full((len(x),), 1.0 if budget.norm == "l0" else torch.inf)
    for step in range(steps):
        value, gradient = oracle.gradient(perturbed, labels, loss)
        won = value > confidence
        smallest.note(step, perturbed, won)
        ever = ever | won
        shrink = cosine(SHRINK_FIRST, SHRINK_LAST, step, steps)
        size = budget.distance(perturbed, x)
        radius = _radius(budget, radius, shrink, won, size, ever, confidence - value, gradient)
        length = cosine(STEP_FIRST, STEP_LAST, step, steps)
        moved = budget.nearest(perturbed + length * unit(gradient, 2) - x, radius)
        perturbed = (x + moved).clamp(0, 1)
    return smallest.confirmed(oracle, labels, loss, perturbed, confidence=confidence)[0]


def _radius(
    budget: Budget,
    radius: Tensor,
    shrink: float,
    won: Tensor,
    size: Tensor,
    ever: Tensor,
    gap: Tensor,
    gradient: Tensor,
) -> Tensor:
    """Radius of the next ball, (B,); that of the linearized boundary before the first success and at radius 0."""
    if budget.norm == "l0":
        larger = torch.maximum(radius + 1, (radius * (1 + shrink)).floor())
        smaller = torch.minimum(torch.minimum(radius, size) - 1, (radius * (1 - shrink)).floor())
        return smaller.where(won, larger).clamp(1, gradient[0].numel())
    slope = lengths(gradient.flatten(1), DUAL[budget.norm])
    estimate = size + gap / slope.where(slope > 0, 1.0)
    larger = (radius * (1 + shrink)).where(ever & (radius > 0), estimate)
    smaller = torch.minimum(radius * (1 - shrink), size)
    return smaller.where(won, larger).clamp(max=budget.eps)
