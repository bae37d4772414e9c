"""The basic iterative method."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.l1_box import nearest_in_box, steepest_in_box
from variate.inputs.budget import Budget
from variate.limits import Count, Positive
from variate.oracle.losses import aimed, cross_entropy
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Kurakin et al. 2017, arXiv:1607.02533, section 2.2; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
)
def bim(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 10,
    step_size: Positive | None = None,
) -> Tensor:
    """Small steps along the gradient, starting at the input: x <- project(x + step_size * steepest(g)).

    In l1 a step moves the values with the largest gradient to an end of [0, 1], one after another, until its length is
    used up, and the projection onto the intersection of the ball and [0, 1] is exact.

    Args:
        oracle: returns the gradient g of the averaged loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        step_size: length of a step in the budget's norm; default eps / steps, which just reaches the end of the budget.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` is below 1.
    """
    length = budget.eps / steps if step_size is None else step_size
    loss, labels = aimed(cross_entropy, y, target)
    perturbed = x
    for _ in range(steps):
        _, gradient = oracle.gradient(perturbed, labels, loss)
        if budget.norm == "l1":
            perturbed = nearest_in_box(steepest_in_box(gradient, perturbed, length), x, budget.eps)
        else:
            perturbed = budget.project(perturbed + length * budget.steepest(gradient), x)
    return perturbed
