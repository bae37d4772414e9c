"""Projected gradient ascent on the error rate of a deployment."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.steps import stepped
from variate.inputs.budget import Budget
from variate.limits import Count
from variate.oracle.error_score import Score
from variate.oracle.white_box import GradientOracle
from variate.registry import attack
from variate.statistics.accepted import certified_radius
from variate.statistics.rates import Deployment, Rule

MOMENTUM = 0.8
RIVALS = 2  # wrong labels, the most probable ones, that are tried in turn where one of them must be accepted
SELECTIONS = 4  # queries in which results are compared
FIRST, LAST = 0.5, 0.0005  # the first and the last step, as a share of eps; they fall geometrically


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="ours; the accumulated gradient: Dong et al. 2018, arXiv:1710.06081, algorithm 1",
    targeted=True,
)
def error_rate(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    deployment: str = "single",
    steps: Count = 100,
    restarts: Count = 1,
) -> Tensor:
    """Steps along an accumulated gradient of how close a deployment is to an error; the steps fall geometrically.

    Averaged losses and the share of wrong answers have different maxima wherever the noise depends on the input: a
    loss also rewards noise that makes wrong answers more wrong. This attack follows the mean margin of the draws in
    units of their standard deviation (``variate.oracle.error_score``), which rises with the probability of an error of
    the deployment. The steps fall from eps / 2 to eps / 2000, since the best inputs may lie in a narrow region of
    little noise. For single draws and majorities, whose margins need not be normal, a second ascent of half as many
    steps follows the smoothed share of wrong draws; the result with more errors on fresh draws is returned. On a
    deterministic network it climbs the margin.

    ``certified-R`` answers only if one label has nearly all draws (``variate.judge_certified``). A wrong answer must be
    accepted, so draws that are wrong in different ways are of no use: the attack raises the probability of one wrong
    label, the two most probable ones in turn, and returns the input at which one of them has the most draws.

    Args:
        oracle: returns the gradient of the score over its draws; its ``average`` plays no part.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        deployment: how the network will be used: ``single``, ``mean-S``, ``majority-S``, ``survive-N`` or
            ``certified-R``.
        steps: number of gradient steps, at least 1.
        restarts: number of random starts, at least 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``restarts`` is below 1, or the deployment is unknown.
    """
    certified = certified_radius(deployment) is not None
    rule: Rule = "single" if certified else Deployment.parse(deployment).rule
    ascents: dict[Score, int] = {"normal": steps} if rule == "mean" else {"normal": steps, "smoothed": -(-steps // 2)}
    if target is not None:
        sign, aims = -1, [target]
    elif certified:
        sign, aims = -1, _rivals(oracle, x, y)
    else:
        sign, aims = 1, [y]
    coins, results = oracle.coins(x), []
    for labels in aims:
        for restart in range(restarts):
            start = budget.project(x + in_ball(coins, x, budget, f"start {restart}"), x)
            for score, count in ascents.items():
                point, memory = start, torch.zeros_like(x)
                for step in range(count):
                    _, gradient = oracle.error_gradient(point, labels, rule, score)
                    memory = MOMENTUM * memory + (1 - MOMENTUM) * sign * _unit(gradient)
                    length = budget.eps * FIRST * (LAST / FIRST) ** (step / max(count - 1, 1))
                    point = stepped(point, memory, length, x, budget)
                results.append((point, labels))
    points, labels_of = (torch.stack(list(parts)) for parts in zip(*results, strict=True))
    return _best(oracle, points, labels_of, sign, rule)


def _rivals(oracle: GradientOracle, x: Tensor, y: Tensor) -> list[Tensor]:
    """The most probable wrong labels of every example, the first of all, then the second: (B,) each."""
    scores = oracle.scores(x).scatter(1, y[:, None], -torch.inf)  # (B, K)
    return list(scores.topk(min(RIVALS, scores.shape[1] - 1), dim=1).indices.T)


def _unit(gradient: Tensor) -> Tensor:
    """The gradient of each example, divided by its largest value: shape (B, ...)."""
    size = gradient.flatten(1).abs().amax(1).view(-1, *[1] * (gradient.dim() - 1))
    return gradient / size.where(size > 0, 1.0)


def _best(oracle: GradientOracle, candidates: Tensor, labels: Tensor, sign: int, rule: Rule) -> Tensor:
    """The candidate with the most errors under draws that are the same for all: (R, B, ...) to (B, ...).

    Args:
        oracle: counts the errors.
        candidates: the candidates, shape (R, B, ...).
        labels: the label that counts as right for each, shape (R, B).
        sign: 1; -1 if the label is a goal, so that the fewest errors are the best.
        rule: how the deployment answers.
    """
    if len(candidates) == 1:
        return candidates[0]
    examples = torch.arange(labels.shape[1], device=labels.device)
    rows = examples.repeat(len(candidates))
    inputs = candidates.flatten(0, 1)
    errors = torch.zeros(len(rows), device=labels.device)
    for _ in range(SELECTIONS):
        errors += oracle.errors(inputs, labels.flatten(), rule, rows=rows)
    return candidates[(sign * errors.view(len(candidates), -1)).argmax(0), examples]
