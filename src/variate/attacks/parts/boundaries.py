"""The boundaries between a label and other classes, linearized: how far each is, and which way."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.inputs.budget import Budget

DUAL = {"linf": 1.0, "l2": 2.0}  # the order of the dual norm


def gap(logits: Tensor, pairs: Tensor) -> Tensor:
    """The logit of another class less that of the label: above 0, the other class is ahead.

    Args:
        logits: shape (B, K).
        pairs: of labels and other classes, as ``y * K + other``, shape (B,).
    """
    classes = logits.shape[1]
    both = logits.gather(1, torch.stack([pairs // classes, pairs % classes], 1))  # (B, 2)
    return both[:, 1] - both[:, 0]


def nearest(values: Tensor, slopes: Tensor, budget: Budget, *, beyond: float = 0.0) -> tuple[Tensor, Tensor]:
    """The nearest of several linearized boundaries, in the budget's norm.

    Args:
        values: gaps, shape (C, B).
        slopes: their gradients, shape (C, B, ...).
        budget: linf or l2.
        beyond: the gap at the boundary.

    Returns:
        The distance, shape (B,), below 0 behind the boundary and infinite where no gap has a slope; and the gradient,
        shape (B, ...).
    """
    sizes = slopes.flatten(2).norm(p=DUAL[budget.norm], dim=2)  # (C, B)
    distances = ((beyond - values) / sizes).masked_fill(sizes == 0, torch.inf)  # (C, B)
    least = distances.min(0)
    return least.values, slopes[least.indices, torch.arange(values.shape[1], device=values.device)]
