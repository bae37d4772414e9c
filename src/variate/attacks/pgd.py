"""Projected gradient descent."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.ranking import best_index, ranked
from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.steps import check_steps, stepped
from variate.inputs.budget import Budget
from variate.limits import Count, Positive
from variate.oracle.losses import Loss, aimed, loss_named
from variate.oracle.white_box import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Madry et al. 2018, arXiv:1706.06083, section 2.1; l1: Tramer & Boneh 2019, arXiv:1904.13000, section 2",
    targeted=True,
)
def pgd(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 40,
    step_size: Positive | None = None,
    random_start: bool = True,
    restarts: Count = 1,
    loss: str | Loss = "cross-entropy",
) -> Tensor:
    """Projected steps along the gradient of the loss averaged over fresh draws.

    x <- project(x + step_size * steepest(g)); the last iterate is returned, so no lucky draw is selected. With several
    restarts the result with the largest fraction of wrong draws is returned, then the highest loss, evaluated on the
    same fresh draws. In l1 a step moves the 1 % of values with the largest gradient that can still move, and the
    projection is onto the intersection of the ball and [0, 1] (Croce & Hein 2021, arXiv:2103.01208): clipping
    afterwards, as published, wastes the part of the budget that lies outside [0, 1].

    Args:
        oracle: returns the gradient g of the averaged loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None for an untargeted attack.
        steps: number of gradient steps, at least 1.
        step_size: length of a step in the budget's norm; default 2.5 * eps / steps.
        random_start: start at a uniform random point in the ball, which does not depend on the rest of the batch.
        restarts: number of starts, at least 1.
        loss: the loss to maximize: ``cross-entropy``, ``margin`` or ``dlr``, or a function like those of
            ``variate.oracle.losses``.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps`` or ``restarts`` is below 1, or the loss is unknown.
    """
    check_steps("pgd", steps=steps, restarts=restarts)
    length = 2.5 * budget.eps / steps if step_size is None else step_size
    objective, labels = aimed(loss_named(loss) if isinstance(loss, str) else loss, y, target)
    coins = oracle.coins(x)
    results = []
    for restart in range(restarts):
        perturbed = budget.project(x + in_ball(coins, x, budget, f"start {restart}"), x) if random_start else x
        for _ in range(steps):
            _, gradient = oracle.gradient(perturbed, labels, objective)
            perturbed = stepped(perturbed, gradient, length, x, budget)
        results.append(perturbed)
    if restarts == 1:
        return results[0]
    candidates = torch.stack(results)  # (R, B, ...)
    best = best_index(oracle, candidates, labels, ranked(objective, aimed=target is not None))
    return candidates[best, torch.arange(len(x), device=x.device)]
