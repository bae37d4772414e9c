"""The Jacobian-based saliency map attack."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.smallest import along
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, cross_entropy, margin
from variate.oracle.oracle import GradientOracle
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
    confidence: float = 0.0,
) -> Tensor:
    """The fewest values, each moved to an end of [0, 1], whose averaged margin is above the confidence; greedily.

    A step moves the one value of the largest saliency: |g * room|, with g the gradient of the loss that is raised (the
    log probability of the target, or the cross-entropy of ``y``) averaged over the draws, and room how far the value
    can move along g. No value moves twice, so there are as many steps as the budget has values.

    This is the published map -a * b, a the slope of the target's probability and b that of all others: probabilities
    sum to 1, so b = -a, every value meets the map's two conditions, and log a has the order of a; averages over draws
    need the logarithm, since probabilities of confident draws vanish. It deviates in the room, without which values
    move that are nearly at the end. Instead of an end at the first success, an example rests in every step under whose
    fresh draws it is adversarial, which is the same on a deterministic network.

    Args:
        oracle: gives the averaged losses and the gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: l0, the most values that may change.
        target: the labels to reach, shape (B,); None to leave ``y``.
        confidence: the averaged margin that an adversarial input exceeds, in logits.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    wanted, labels = aimed(margin, y, target)
    loss = along(wanted, aimed(cross_entropy, y, target)[0])
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
