"""Decoupled direction and norm."""

from __future__ import annotations

from torch import Tensor

from variate.attacks.parts.schedules import cosine
from variate.attacks.parts.smallest import Smallest, with_gradient_of
from variate.inputs.budget import Budget
from variate.limits import Count, Inner, NotNegative
from variate.oracle.losses import aimed, cross_entropy, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

FIRST, LAST = 1.0, 0.01  # alpha, first and last length of a step, section 4
NORM = 1.0  # epsilon 0, the radius of the first sphere


@attack(
    access="gradient",
    norms=("l2",),
    modality=("image", "audio", "text", "tabular"),
    cite="Rony et al. 2019, arXiv:1811.09600, algorithm 1",
    targeted=True,
    minimal=True,
    quick={"steps": 100, "gamma": 0.1},
)
def ddn(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 100,
    gamma: Inner = 0.05,
    confidence: NotNegative = 0.0,
) -> Tensor:
    """The smallest l2 perturbation whose averaged margin exceeds the confidence, searched on spheres.

    delta <- norm * unit(delta + length * unit(g)), with norm <- (1 - gamma) * norm where the point is adversarial and
    (1 + gamma) * norm where it is not. g is the gradient of the cross-entropy, and the margin decides what is
    adversarial; both are averaged over the draws of the same query.

    Differences from the paper: the sphere never grows beyond the budget, so that the best point inside is found where
    the smallest perturbation lies outside. The smallest of many noisy successes is a lucky one, so the smallest of each
    quarter of the steps are evaluated on fresh draws (which changes nothing on a deterministic network). Pixels are not
    rounded to 256 values.

    Args:
        oracle: returns the averaged losses and the gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the maximum size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        gamma: fraction by which the sphere grows or shrinks, in (0, 1).
        confidence: averaged margin, in logits, above which an input counts as adversarial.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` is below 1 or ``gamma`` is not in (0, 1).
    """
    gap, labels = aimed(margin, y, target)
    loss = with_gradient_of(gap, aimed(cross_entropy, y, target)[0])
    smallest = Smallest(x, budget, steps)
    perturbed, norm = x, x.new_full((len(x),), min(NORM, budget.eps))
    for step in range(steps):
        value, gradient = oracle.gradient(perturbed, labels, loss)
        won = value > confidence
        smallest.note(step, perturbed, won)
        norm = (norm * (1 + gamma - 2 * gamma * won)).clamp(max=budget.eps)
        moved = perturbed - x + cosine(FIRST, LAST, step, steps) * budget.steepest(gradient)
        perturbed = (x + norm.view(-1, *[1] * (x.dim() - 1)) * budget.steepest(moved)).clamp(0, 1)
    return smallest.confirmed(oracle, labels, gap, perturbed, confidence=confidence)[0]
