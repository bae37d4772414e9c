"""The Carlini and Wagner attack."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.lengths import lengths
from variate.attacks.parts.smallest import Smallest, smallest_of
from variate.inputs.budget import Budget
from variate.limits import Count, NotNegative, Positive
from variate.oracle.losses import Loss, aimed, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

INSIDE = 0.999  # starting fraction of the way to the ends of [0, 1], where tanh still has a slope
RISE = 10.0  # factor on the constant until one is large enough
MEAN, SQUARE, TINY = 0.9, 0.999, 1e-8  # Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1


@attack(
    access="gradient",
    norms=("l2",),
    modality=("image", "audio", "text", "tabular"),
    cite="Carlini & Wagner 2017, arXiv:1608.04644, sections V-A to VI-A",
    targeted=True,
    minimal=True,
    quick={"steps": 60, "searches": 6, "step_size": 0.01},
)
def cw(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 100,
    searches: Count = 9,
    constant: Positive = 1e-3,
    step_size: Positive = 0.05,
    confidence: NotNegative = 0.0,
) -> Tensor:
    """The smallest l2 perturbation whose averaged margin exceeds the confidence, by Adam and a binary search.

    Minimizes ||delta||^2 + c * max(confidence - margin, 0) over w, where x + delta = (tanh(w) + 1) / 2 stays in [0, 1],
    starting from the inputs for each of several constants c. The search bisects between constants that were too small
    and large enough, and multiplies c by ten until one is large enough. The margin is averaged over the draws of a step
    before the max is taken.

    Differences from the paper: c is large enough if the second half of its steps contains a success that fresh draws
    confirm, since early successes come from steps that are too long. A first query measures the
    unit of c. Of the results for all constants, the smallest
    that is adversarial under the same fresh draws is returned. w starts where tanh still has a slope, 0.999 instead of
    0.999999 of the way to the ends of [0, 1], and steps are fewer and longer: a value at an end of [0, 1] needs many
    steps to leave it. There is no early abort.

    Args:
        oracle: returns the averaged margin and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the maximum size eps; points outside are projected at the end.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps for each constant, at least 1.
        searches: number of constants, at least 1.
        constant: initial c, above 0, for a margin whose gradient at the input has length 1; c is divided by its length,
            so that it does not depend on the unit of the logits.
        step_size: learning rate of Adam, in units of w, above 0.
        confidence: kappa, the averaged margin, in logits, above which an input counts as adversarial.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``searches`` is below 1, or ``constant`` or ``step_size`` is not above 0.
    """
    loss, labels = aimed(margin, y, target)
    slope = lengths(oracle.gradient(x, labels, loss)[1].flatten(1), 2)  # logits per unit of l2
    weight = constant / slope.where(slope > 0, 1.0)
    low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
    results = []
    for _ in range(searches):
        smallest = Smallest(x, budget, steps, windows=2)
        last = _descend(oracle, x, labels, loss, weight, smallest, steps, step_size, confidence)
        point, won = smallest.confirmed(oracle, labels, loss, last, confidence=confidence)
        results.append(point)
        enough = won & smallest.ended_well()
        low, high = weight.where(~enough, low), weight.where(enough, high)
        weight = ((low + high) / 2).where(high < torch.inf, RISE * weight)
    return smallest_of(oracle, x, results, labels, loss, budget, confidence=confidence)[0]


def _descend(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    loss: Loss,
    weight: Tensor,
    smallest: Smallest,
    steps: int,
    step_size: float,
    confidence: float,
) -> Tensor:
    """Run Adam from the inputs, with one constant per example, and return the last points, shape (B, ...)."""
    free = torch.atanh((2 * x - 1) * INSIDE)  # w
    mean, square, perturbed = torch.zeros_like(x), torch.zeros_like(x), x
    for step in range(steps):
        value, gradient = oracle.gradient(perturbed, y, loss)
        smallest.note(step, perturbed, value > confidence)
        pushed = (weight * (value <= confidence)).view(-1, *[1] * (x.dim() - 1)) * gradient
        slope = (2 * (perturbed - x) - pushed) * (1 - free.tanh() ** 2) / 2  # chain rule through tanh
        mean = MEAN * mean + (1 - MEAN) * slope
        square = SQUARE * square + (1 - SQUARE) * slope**2
        rate = step_size * (1 - SQUARE ** (step + 1)) ** 0.5 / (1 - MEAN ** (step + 1))
        free = free - rate * mean / (square.sqrt() + TINY)
        perturbed = (free.tanh() + 1) / 2
    return perturbed
