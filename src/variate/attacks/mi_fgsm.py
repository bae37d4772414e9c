"""The momentum iterative fast gradient method."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.lengths import unit
from variate.inputs.budget import Budget
from variate.limits import Count, NotNegative
from variate.oracle.losses import aimed, cross_entropy
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Dong et al. 2018, arXiv:1710.06081, algorithm 1",
    targeted=True,
)
def mi_fgsm(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 10,
    decay: NotNegative = 1.0,
) -> Tensor:
    """Steps of eps / steps along an accumulated gradient: g <- decay * g + gradient / ||gradient||_1.

    Args:
        oracle: returns the gradient of the averaged loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        decay: decay factor of the accumulated gradient, mu in the paper.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` is below 1.
    """
    loss, labels = aimed(cross_entropy, y, target)
    perturbed, accumulated = x, torch.zeros_like(x)
    for _ in range(steps):
        _, gradient = oracle.gradient(perturbed, labels, loss)
        accumulated = decay * accumulated + unit(gradient, 1)
        perturbed = budget.project(perturbed + budget.eps / steps * budget.steepest(accumulated), x)
    return perturbed
