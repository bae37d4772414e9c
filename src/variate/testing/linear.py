"""A linear model, whose optimal attack is known in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.inputs.budget import Budget

DUAL = {
    "linf": 1.0,
    "l2": 2.0,
    "l1": float("inf"),
}  # the order of the dual norm: max over ||d|| <= 1 of g.d is ||g|| in the dual norm


class LinearModel(nn.Module):
    """Logits W x + b of the flattened input.

    Args:
        weight: W, shape (K, D).
        bias: b, shape (K,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, ...) to logits of shape (B, K)."""
        return nn.functional.linear(x.flatten(1), self.weight, self.bias)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The logit of the label minus the largest other logit: (B, K) and (B,) to (B,); negative if misclassified."""
    others = logits.scatter(1, y[:, None], -torch.inf)  # (B, K)
    return logits.gather(1, y[:, None])[:, 0] - others.amax(1)


def worst_margin(model: LinearModel, x: Tensor, y: Tensor, budget: Budget) -> Tensor:
    """The smallest margin within a budget: min over j != y of (w_y - w_j).x + b_y - b_j - eps * ||w_y - w_j||_dual.

    Exact for any number of classes as long as the optimal input lies inside [0, 1]; keep ``x`` at least eps away from
    both ends.

    Args:
        model: the linear model.
        x: inputs, shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps; the dual of linf is l1, that of l2 is l2, that of l1 is linf.

    Returns:
        The worst margin, shape (B,).
    """
    with torch.no_grad():
        logits = model(x)  # (B, K)
        gaps = logits.gather(1, y[:, None]) - logits  # (B, K)
        slopes = (model.weight[y][:, None] - model.weight).norm(p=DUAL[budget.norm], dim=2)  # (B, K)
        worst: Tensor = (gaps - budget.eps * slopes).scatter(1, y[:, None], torch.inf).amin(1)  # (B,)
    return worst


def smallest_distance(model: LinearModel, x: Tensor, y: Tensor, norm: str) -> Tensor:
    """The distance to the nearest input not classified as ``y``: min over j != y of gap_j / ||w_y - w_j||_dual.

    In l0 it is the smallest number of values that close a gap when each is moved to 0 or 1; this is exact. In the other
    norms it is exact as long as the nearest input lies inside [0, 1].

    Args:
        model: the linear model.
        x: inputs classified as ``y``, shape (B, ...).
        y: labels, shape (B,).
        norm: linf, l2, l1 or l0.

    Returns:
        Distances, shape (B,).
    """
    with torch.no_grad():
        logits = model(x)  # (B, K)
        gaps = logits.gather(1, y[:, None]) - logits  # (B, K)
        slopes = model.weight[y][:, None] - model.weight  # (B, K, D)
        if norm == "l0":
            flat = x.flatten(1)[:, None]  # (B, 1, D)
            gains = torch.maximum(
                slopes * flat, slopes * (flat - 1)
            )  # reduction of the gap from moving a value to 0 or 1
            closed = gains.sort(2, descending=True).values.cumsum(2)  # (B, K, D)
            distances = (closed < gaps[..., None]).sum(2).to(gaps) + 1
        else:
            distances = gaps / slopes.norm(p=DUAL[norm], dim=2)
        smallest: Tensor = distances.scatter(1, y[:, None], torch.inf).amin(1)  # (B,)
    return smallest
