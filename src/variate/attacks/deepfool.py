"""DeepFool."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.boundaries import gap, nearest
from variate.attacks.parts.smallest import Smallest, where
from variate.attacks.parts.steps import check_steps
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import margin
from variate.oracle.oracle import GradientOracle
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
    steps: int = 50,
    classes: int = 9,
    overshoot: float = 0.02,
    confidence: float = 0.0,
) -> Tensor:
    """The smallest perturbation whose averaged margin is above the confidence, by steps to the nearest boundary.

    Each step goes to the nearest of the linearized boundaries between the label and the most likely other classes:
    delta <- delta + distance * steepest(gradient of the gap between their logits), all gaps under the same draws. The
    perturbation is delta * (1 + overshoot).

    An example rests while it is adversarial under the fresh draws that begin a step. On a deterministic network that
    is the published stop. On a random one a lucky success delays by a step; of the successes the smallest that
    fresh draws confirm is returned. It deviates from the paper in one more point: a value at an end of [0, 1] that a
    gap would push outside counts as one without a slope, since the paper knows no such ends.

    Args:
        oracle: gives averaged gaps and their gradients.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm, and the largest size eps: what lies outside is projected in the end.
        steps: number of steps, from 1, of one gradient a class.
        classes: how many other classes, from 1; fewer where the network has fewer.
        overshoot: eta, the share that the perturbation goes beyond the boundaries, from 0.
        confidence: the averaged margin that an adversarial input exceeds, in logits.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or class, or a negative overshoot.
    """
    check_steps("deepfool", steps=steps, classes=classes)
    if not overshoot >= 0:
        raise UsageError(f"deepfool cannot overshoot by {overshoot}", expected="a share from 0")
    scores = oracle.scores(x)  # (B, K)
    known = scores.shape[1]
    others = scores.scatter(1, y[:, None], -torch.inf).topk(min(classes, known - 1), dim=1).indices  # (B, C)
    pairs = y[:, None] * known + others  # (B, C)
    smallest, perturbed = Smallest(x, budget, steps), x
    for step in range(steps):
        won = oracle.loss(perturbed, y, margin) > confidence
        smallest.note(step, perturbed, won)
        rows = (~won | (step == 0)).nonzero()[:, 0]  # whoever rests from the start is looked at once
        moved = _step(oracle, perturbed[rows], pairs[rows], rows, budget, confidence)
        total = (perturbed - x).index_add(0, rows, moved * (1 + overshoot))
        perturbed = where(won, perturbed, (x + total).clamp(0, 1))
    return smallest.confirmed(oracle, y, margin, perturbed, confidence=confidence)[0]


def _step(
    oracle: GradientOracle, points: Tensor, pairs: Tensor, rows: Tensor, budget: Budget, confidence: float
) -> Tensor:
    """To the nearest linearized boundary, all gaps under the same draws: (N, ...) and pairs (N, C) to (N, ...)."""
    keys = oracle.take_keys(points)
    asked = [oracle.gradient(points, pair, gap, rows=rows, keys=keys) for pair in pairs.unbind(1)]
    values, slopes = torch.stack([value for value, _ in asked]), torch.stack([slope for _, slope in asked])
    stuck = ((points <= 0) & (slopes < 0)) | ((points >= 1) & (slopes > 0))  # (C, N, ...)
    distance, slope = nearest(values, slopes.masked_fill(stuck, 0.0), budget, beyond=confidence)
    length = distance.clamp(min=0).masked_fill(distance == torch.inf, 0.0)
    step: Tensor = length.view(-1, *[1] * (points.dim() - 1)) * budget.steepest(slope)
    return step
