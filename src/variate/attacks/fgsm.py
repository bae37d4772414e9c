"""The fast gradient (sign) method."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.l1_box import steepest_in_box
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, cross_entropy
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Goodfellow et al. 2015, arXiv:1412.6572, section 4; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
)
def fgsm(oracle: GradientOracle, x: Tensor, y: Tensor, *, budget: Budget, target: Tensor | None = None) -> Tensor:
    """One step of the full budget along the gradient: x + eps * sign(g) for linf, x + eps * g / ||g|| for l2.

    In l1 the values with the largest gradient move to an end of [0, 1], one after another, until eps is used up.

    Args:
        oracle: returns the gradient g of the mean loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).
    """
    loss, labels = aimed(cross_entropy, y, target)
    _, gradient = oracle.gradient(x, labels, loss)
    if budget.norm == "l1":
        return steepest_in_box(gradient, x, budget.eps)
    return budget.project(x + budget.eps * budget.steepest(gradient), x)
