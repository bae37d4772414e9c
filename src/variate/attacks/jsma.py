"""The Jacobian-based saliency map attack."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.smallest import with_gradient_of
from variate.inputs.budget import Budget
from variate.limits import NotNegative
from variate.oracle.losses import aimed, cross_entropy, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("l0",),
    modality=("image", "tabular"),
    cite="Papernot et al. 2016, arXiv:1511.07528, algorithm 1, equation 8; untargeted: Wiyatno & Xu, arXiv:1808.07945",
    targeted=True,
    minimal=True,
)
def jsma(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    confidence: NotNegative = 0.0,
) -> Tensor:
    """Greedily move values to an end of [0, 1], as few as possible, until the averaged margin exceeds the confidence.

    Each step changes the value with the largest saliency |g * room|. g is the gradient of the loss (the log-probability
    of the target, or the cross-entropy of ``y``) averaged over the draws, and room is how far the value can move along
    g. No value changes twice, so there are as many steps as the budget has values.

    This is the published map -a * b, where a is the slope of the target's probability and b that of all others:
    probabilities sum to 1, so b = -a, every value meets the two conditions of the map, and log a sorts like a. Averages
    over draws need the logarithm, since the probabilities of confident draws vanish. The factor room is ours: without
    it the attack changes values that are almost at the end already. Instead of stopping at the first success, an
    example pauses in every step whose fresh draws find it adversarial, which is the same on a deterministic network.

    Args:
        oracle: returns the averaged losses and the gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: l0, the maximum number of changed values.
        target: target labels, shape (B,); None for an untargeted attack.
        confidence: averaged margin, in logits, above which an input counts as adversarial.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    gap, labels = aimed(margin, y, target)
    loss = with_gradient_of(gap, aimed(cross_entropy, y, target)[0])
    flat = x.flatten(1)  # (B, D)
    moved = torch.zeros_like(flat, dtype=torch.bool)
    for _ in range(min(int(budget.size), flat.shape[1])):
        value, gradient = oracle.gradient(flat.view_as(x), labels, loss)
        slope = gradient.flatten(1)  # (B, D)
        end = (slope > 0).to(flat)
        saliency = (slope * (end - flat)).masked_fill(moved, 0.0)  # (B, D), none below 0
        best = saliency.max(1, keepdim=True)
        step = torch.zeros_like(moved).scatter(1, best.indices, best.values > 0) & (value <= confidence)[:, None]
        flat, moved = end.where(step, flat), moved | step
    return budget.project(flat.view_as(x), x)
