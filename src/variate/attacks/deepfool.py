"""DeepFool."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.boundaries import gap, nearest
from variate.attacks.parts.smallest import Smallest, where
from variate.inputs.budget import Budget
from variate.limits import Count, NotNegative
from variate.oracle.losses import margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image", "audio", "text", "tabular"),
    cite="Moosavi-Dezfooli et al. 2016, arXiv:1511.04599, algorithm 2; other norms: section 3.3",
    minimal=True,
    quick={"steps": 10},
)
def deepfool(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    steps: Count = 50,
    classes: Count = 9,
    overshoot: NotNegative = 0.02,
    confidence: NotNegative = 0.0,
) -> Tensor:
    """The smallest perturbation whose averaged margin exceeds the confidence, by steps to the nearest boundary.

    Each step goes to the nearest of the linearized boundaries between the label and the most likely other classes:
    delta <- delta + distance * steepest(gradient of the gap between their logits), with all gaps under the same draws.
    The perturbation is delta * (1 + overshoot).

    An example pauses while it is adversarial under the fresh draws at the start of a step. On a deterministic network
    that is the published stopping rule. On a random one a lucky success only delays the search by a step; of all
    successes the smallest that fresh draws confirm is returned. Unlike the paper, which has no range of inputs, a value
    at an end of [0, 1] that a gap would push outside counts as having no slope.

    Args:
        oracle: returns averaged gaps and their gradients.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the maximum size eps; points outside are projected at the end.
        steps: number of steps, at least 1, each of one gradient per class.
        classes: number of other classes to consider, at least 1; capped at the number of other classes.
        overshoot: eta, the fraction by which the perturbation goes beyond the boundary, at least 0.
        confidence: averaged margin, in logits, above which an input counts as adversarial.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``classes`` is below 1, or ``overshoot`` is negative.
    """
    scores = oracle.scores(x)  # (B, K)
    num_classes = scores.shape[1]
    others = scores.scatter(1, y[:, None], -torch.inf).topk(min(classes, num_classes - 1), dim=1).indices  # (B, C)
    pairs = y[:, None] * num_classes + others  # (B, C)
    smallest, perturbed = Smallest(x, budget, steps), x
    for step in range(steps):
        won = oracle.loss(perturbed, y, margin) > confidence
        smallest.note(step, perturbed, won)
        rows = (~won | (step == 0)).nonzero()[:, 0]  # every example is queried at least once
        moved = _step(oracle, perturbed[rows], pairs[rows], rows, budget, confidence)
        total = (perturbed - x).index_add(0, rows, moved * (1 + overshoot))
        perturbed = where(won, perturbed, (x + total).clamp(0, 1))
    return smallest.confirmed(oracle, y, margin, perturbed, confidence=confidence)[0]


def _step(
    oracle: GradientOracle, points: Tensor, pairs: Tensor, rows: Tensor, budget: Budget, confidence: float
) -> Tensor:
    """Step to the nearest linearized boundary, with all gaps under the same draws: (N, ...) and (N, C) to (N, ...)."""
    keys = oracle.take_keys(points)
    results = [oracle.gradient(points, pair, gap, rows=rows, keys=keys) for pair in pairs.unbind(1)]
    values, slopes = torch.stack([value for value, _ in results]), torch.stack([slope for _, slope in results])
    stuck = ((points <= 0) & (slopes < 0)) | ((points >= 1) & (slopes > 0))  # (C, N, ...)
    distance, slope = nearest(values, slopes.masked_fill(stuck, 0.0), budget, beyond=confidence)
    length = distance.clamp(min=0).masked_fill(distance == torch.inf, 0.0)
    step: Tensor = length.view(-1, *[1] * (points.dim() - 1)) * budget.steepest(slope)
    return step
