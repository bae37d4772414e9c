"""Auto-PGD towards each of the most likely wrong classes."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks._apgd import ascend
from variate.attacks._ranking import best_of, ranked
from variate.attacks._starts import in_ball
from variate.attacks._steps import check_steps
from variate.budget import Budget
from variate.losses import dlr_targeted, margin
from variate.oracle import GradientOracle
from variate.registry import attack


@attack(
    access="gradient",
    norms=("linf", "l2"),
    modality=("image",),
    cite="Croce & Hein 2020, arXiv:2003.01690, equation 7 and section 5",
    targeted=True,
    quick={"steps": 40, "classes": 2},
)
def apgd_targeted(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: int = 100,
    classes: int = 9,
) -> Tensor:
    """Auto-PGD on the targeted difference of logits ratio, towards the most likely wrong classes one after another.

    The classes are those of the highest averaged scores at the inputs. An example that all draws of a query already
    answer wrongly is left out of the runs that follow. The worst input of each example is chosen by the share of wrong
    draws and then by the margin, over fresh draws that are the same for all.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the one class to go for, shape (B,); the most likely wrong ones without it.
        steps: number of gradient steps towards each class, from 1.
        classes: how many classes, from 1; fewer where the network has fewer.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step or class.
    """
    check_steps("apgd-targeted", steps=steps, classes=classes)
    scores, coins = oracle.scores(x), oracle.coins(x)
    known = scores.shape[1]
    wrong = scores.scatter(1, y[:, None], -torch.inf)
    goals = wrong.topk(min(classes, known - 1), dim=1).indices if target is None else target[:, None]  # (B, C)
    best, rows = x, torch.arange(len(x), device=x.device)
    rank, labels = (ranked(margin), y) if target is None else (_towards, y * known + target)
    for number in range(goals.shape[1]):
        start = budget.project(x[rows] + in_ball(coins, x, budget, f"class {number}")[rows], x[rows])
        pairs = y[rows] * known + goals[rows, number]
        found = ascend(
            oracle, x[rows], pairs, start, budget=budget, loss=dlr_targeted, rank=_away, steps=steps, rows=rows
        )
        candidates = torch.stack([best[rows], found])  # (2, B, ...)
        better = best_of(oracle, candidates, labels[rows], rank, rows).bool()
        best = best.index_put((rows[better],), found[better])
        rows = rows[oracle.wrong(best[rows], y[rows], rows=rows) < 1] if target is None else rows
    return best


def _away(logits: Tensor, pairs: Tensor) -> Tensor:
    """The rank of leaving y: any other answer wins."""
    return ranked(margin)(logits, pairs // logits.shape[1])


def _towards(logits: Tensor, pairs: Tensor) -> Tensor:
    """The rank of reaching the target, then of the loss that leads there."""
    reached = logits.argmax(1) == pairs % logits.shape[1]
    return dlr_targeted(logits, pairs) + 1e3 * reached.to(logits)
