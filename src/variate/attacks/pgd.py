"""Projected gradient descent."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.l1_box import nearest_in_box
from variate.attacks.parts.ranking import best_of, ranked
from variate.attacks.parts.starts import in_ball
from variate.attacks.parts.steps import check_steps
from variate.inputs.budget import Budget
from variate.oracle.losses import Loss, aimed, loss_named
from variate.oracle.oracle import GradientOracle
from variate.registry import attack

SPARSITY = 0.01  # of the values, moved in one step of an l1 attack


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
    steps: int = 40,
    step_size: float | None = None,
    random_start: bool = True,
    restarts: int = 1,
    loss: str | Loss = "cross-entropy",
) -> Tensor:
    """Repeated steps along the gradient of the loss averaged over fresh draws, each projected back into the budget.

    x <- project(x + step_size * steepest(g)); the last iterate is returned, so no lucky draw is selected. Of several
    restarts the one that most draws answer wrongly is returned, then the one with the highest loss, all under the same
    fresh draws. In l1 a step moves the 1 % of the values with the largest gradient that can still move, and the
    projection is onto the ball within [0, 1] (Croce & Hein 2021, arXiv:2103.01208): clipping afterwards, as published,
    gives away what lies beyond the ends of the range.

    Args:
        oracle: gives the gradient g of the averaged loss over its draws.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the labels to reach, shape (B,); None to leave ``y``.
        steps: number of gradient steps, from 1.
        step_size: length of a step in the budget's norm; 2.5 * eps / steps without one.
        random_start: begin at a point uniform in the ball, the same for an example in any batch.
        restarts: how often to begin anew, from 1.
        loss: the loss to raise: ``cross-entropy``, ``margin`` or ``dlr``, or a function like those of
            ``variate.oracle.losses``.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or restart, or a loss that does not exist.
    """
    check_steps("pgd", steps=steps, restarts=restarts)
    length = 2.5 * budget.eps / steps if step_size is None else step_size
    raised, labels = aimed(loss_named(loss) if isinstance(loss, str) else loss, y, target)
    coins = oracle.coins(x)
    found = []
    for restart in range(restarts):
        perturbed = budget.project(x + in_ball(coins, x, budget, f"start {restart}"), x) if random_start else x
        for _ in range(steps):
            _, gradient = oracle.gradient(perturbed, labels, raised)
            ahead = perturbed + length * _direction(gradient, perturbed, budget)
            perturbed = nearest_in_box(ahead, x, budget.eps) if budget.norm == "l1" else budget.project(ahead, x)
        found.append(perturbed)
    if restarts == 1:
        return found[0]
    candidates = torch.stack(found)  # (R, B, ...)
    best = best_of(oracle, candidates, labels, ranked(raised, aimed=target is not None))
    return candidates[best, torch.arange(len(x), device=x.device)]


def _direction(gradient: Tensor, perturbed: Tensor, budget: Budget) -> Tensor:
    """A step of length 1 in the budget's norm; in l1 spread over the most useful values that are not at their end."""
    if budget.norm != "l1":
        return budget.steepest(gradient)
    flat, values = gradient.flatten(1), perturbed.flatten(1)
    stuck = ((values <= 0) & (flat < 0)) | ((values >= 1) & (flat > 0))
    sizes = flat.abs().masked_fill(stuck, 0.0)  # (B, D)
    count = max(1, round(SPARSITY * flat.shape[1]))
    kept = sizes.topk(count, dim=1)
    signs = flat.gather(1, kept.indices).sign() * (kept.values > 0)
    return torch.zeros_like(flat).scatter(1, kept.indices, signs / count).view_as(gradient)
