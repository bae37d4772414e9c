"""The attack of Carlini and Wagner."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.smallest import Smallest, smallest_of
from variate.attacks.parts.steps import check_steps
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss, aimed, margin
from variate.oracle.oracle import GradientOracle
from variate.registry import attack

INSIDE = 0.999  # of the way to the ends of [0, 1], where the slope of tanh ends
RISE = 10.0  # of the constant, while none was large enough
MEAN, SQUARE, TINY = 0.9, 0.999, 1e-8  # of Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1


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
    steps: int = 100,
    searches: int = 9,
    constant: float = 1e-3,
    step_size: float = 0.05,
    confidence: float = 0.0,
) -> Tensor:
    """The smallest l2 perturbation whose averaged margin is above the confidence, by Adam and a binary search.

    Lowers ||delta||^2 + c * max(confidence - margin, 0) in w, where x + delta = (tanh(w) + 1) / 2 keeps to [0, 1], from
    the inputs on for each of several constants c. c falls to the middle of what was too small and what was enough, and
    rises tenfold while none was enough. The margin is averaged over the draws of a step, then cut off.

    It deviates from the paper as follows. c is enough if the second half of its steps has a success that fresh draws
    confirm: early successes come from steps that are too long. Of what the constants found, the smallest that is
    adversarial under the same fresh draws is returned. w begins where tanh still has a slope, 0.999 instead of
    0.999999 of the way to the ends of [0, 1], and steps are fewer and longer: values at an end of [0, 1] need many
    steps to come loose. Nothing is aborted early.

    Args:
        oracle: gives the averaged margin and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm, and the largest size eps: what lies outside is projected in the end.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of gradient steps for each constant, from 1.
        searches: number of constants, from 1.
        constant: the first c, above 0, in units of l2 squared per logit.
        step_size: of Adam, in units of w, above 0.
        confidence: kappa, the averaged margin that an adversarial input exceeds, in logits.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or search, or a constant or step size of 0 or less.
    """
    check_steps("cw", steps=steps, searches=searches)
    for name, size in (("constant", constant), ("step_size", step_size)):
        if not size > 0:
            raise UsageError(f"cw cannot search with a {name} of {size}", expected="a number above 0")
    loss, labels = aimed(margin, y, target)
    weight = x.new_full((len(x),), constant)
    low, high = torch.zeros_like(weight), torch.full_like(weight, torch.inf)
    found = []
    for _ in range(searches):
        smallest = Smallest(x, budget, steps, windows=2)
        last = _descend(oracle, x, labels, loss, weight, smallest, steps, step_size, confidence)
        point, won = smallest.confirmed(oracle, labels, loss, last, confidence=confidence)
        found.append(point)
        enough = won & smallest.ended_well()
        low, high = weight.where(~enough, low), weight.where(enough, high)
        weight = ((low + high) / 2).where(high < torch.inf, RISE * weight)
    return smallest_of(oracle, x, found, labels, loss, budget, confidence=confidence)[0]


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
    """Adam from the inputs on, with one constant for each example: the last points, shape (B, ...)."""
    free = torch.atanh((2 * x - 1) * INSIDE)  # w
    mean, square, perturbed = torch.zeros_like(x), torch.zeros_like(x), x
    for step in range(steps):
        value, gradient = oracle.gradient(perturbed, y, loss)
        smallest.note(step, perturbed, value > confidence)
        pushed = (weight * (value <= confidence)).view(-1, *[1] * (x.dim() - 1)) * gradient
        slope = (2 * (perturbed - x) - pushed) * (1 - free.tanh() ** 2) / 2  # through tanh
        mean = MEAN * mean + (1 - MEAN) * slope
        square = SQUARE * square + (1 - SQUARE) * slope**2
        rate = step_size * (1 - SQUARE ** (step + 1)) ** 0.5 / (1 - MEAN ** (step + 1))
        free = free - rate * mean / (square.sqrt() + TINY)
        perturbed = (free.tanh() + 1) / 2
    return perturbed
