"""The fast gradient (sign) method."""

from __future__ import annotations

from torch import Tensor

from variate.budget import Budget
from variate.oracle import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image",),
    cite="Goodfellow et al. 2015, arXiv:1412.6572, section 4",
)
def fgsm(oracle: GradientOracle, x: Tensor, y: Tensor, *, budget: Budget) -> Tensor:
    """One step of the full budget along the gradient: x + eps * sign(g) for linf, x + eps * g / ||g|| for l2.

    Args:
        oracle: gives the gradient g of the mean loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    _, gradient = oracle.gradient(x, y)
    return budget.project(x + budget.eps * budget.steepest(gradient), x)
