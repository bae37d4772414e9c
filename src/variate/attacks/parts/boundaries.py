"""Linearized decision boundaries between a label and the other classes: their distance and direction."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.lengths import lengths
from variate.inputs.budget import Budget
from variate.oracle.losses import bounded

DUAL = {"linf": 1.0, "l2": 2.0}  # the order of the dual norm


def gap(logits: Tensor, pairs: Tensor) -> Tensor:
    """Logit of another class minus the logit of the label; above 0 the other class is predicted over the label.

    Args:
        logits: shape (B, K).
        pairs: labels and other classes, encoded as ``y * K + other``, shape (B,).
    """
    classes = logits.shape[1]
    both = bounded(logits).gather(1, torch.stack([pairs // classes, pairs % classes], 1))  # (B, 2)
    return both[:, 1] - both[:, 0]


def nearest(values: Tensor, slopes: Tensor, budget: Budget, *, beyond: float = 0.0) -> tuple[Tensor, Tensor]:
    """Find the nearest of several linearized boundaries in the budget's norm.

    Args:
        values: gaps, shape (C, B).
        slopes: gradients of the gaps, shape (C, B, ...).
        budget: linf or l2.
        beyond: value of the gap that defines the boundary.

    Returns:
        The distance, shape (B,), negative beyond the boundary and infinite where all gradients are zero; and the
        gradient of the nearest gap, shape (B, ...).
    """
    sizes = lengths(slopes.flatten(2), DUAL[budget.norm])  # (C, B)
    distances = ((beyond - values) / sizes).masked_fill(sizes == 0, torch.inf)  # (C, B)
    smallest = distances.min(0)
    return smallest.values, slopes[smallest.indices, torch.arange(values.shape[1], device=values.device)]
