"""Projected gradient descent."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.budget import Budget
from variate.errors import UsageError
from variate.oracle import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image",),
    cite="Madry et al. 2018, arXiv:1706.06083, section 2.1",
)
def pgd(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    steps: int = 40,
    step_size: float | None = None,
    random_start: bool = True,
) -> Tensor:
    """Repeated steps along the gradient of the loss averaged over fresh draws, each projected back into the budget.

    x <- project(x + step_size * steepest(g)); the last iterate is returned, so no lucky draw is selected.

    Args:
        oracle: gives the gradient g of the mean loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        steps: number of gradient steps, from 1.
        step_size: length of a step in the budget's norm; 2.5 * eps / steps without one.
        random_start: begin at a point uniform in the ball, the same for an example in any batch.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step.
    """
    if steps < 1:
        raise UsageError(f"pgd cannot take {steps} steps", expected="steps of at least 1")
    length = 2.5 * budget.eps / steps if step_size is None else step_size
    perturbed = budget.project(x + _in_ball(oracle, x, budget), x) if random_start else x
    for _ in range(steps):
        _, gradient = oracle.gradient(perturbed, y)
        perturbed = budget.project(perturbed + length * budget.steepest(gradient), x)
    return perturbed


def _in_ball(oracle: GradientOracle, x: Tensor, budget: Budget) -> Tensor:
    """A uniform point of the ball around 0, the same for an example in any batch: shape (B, ...)."""
    noise = oracle.uniform(x, "pgd start")
    if budget.norm == "linf":
        return (2 * noise - 1) * budget.eps
    direction = budget.steepest(torch.erfinv(2 * noise - 1))  # a Gaussian vector, scaled to length 1
    radius = oracle.uniform(x, "pgd radius").flatten(1)[:, :1].reshape(-1, *[1] * (x.dim() - 1))  # (B, 1, ...)
    return direction * budget.eps * radius ** (1 / x[0].numel())
