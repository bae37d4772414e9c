"""Auto-PGD towards each of the most likely wrong classes."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.apgd import ascend
from variate.attacks.parts.ranking import WON, best_of, ranked
from variate.attacks.parts.steps import check_steps
from variate.inputs.budget import Budget
from variate.oracle.losses import aimed, dlr_targeted, margin
from variate.oracle.oracle import GradientOracle
from variate.registry import attack

CONFIRM = 8  # queries whose every draw must be wrong before an example is left alone


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Croce & Hein 2020, arXiv:2003.01690, equation 7 and section 5; l1: Croce & Hein 2021, arXiv:2103.01208",
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
    restarts: int = 1,
) -> Tensor:
    """Auto-PGD on the targeted difference of logits ratio, towards the most likely wrong classes one after another.

    The classes are those of the highest averaged scores at the inputs. On the way to a class the best point is chosen
    as in ``apgd-ce``; of the points that the classes lead to, the one that most draws answer wrongly, then the one of
    the largest margin, over fresh draws that are the same for all. An example is left out of the runs that follow once
    every draw of eight further queries is wrong: on a random network one query of few draws would be luck.

    The published loss sets the class against y alone. With ``target`` a third class may therefore come out on top,
    which ``apgd-ce`` and ``apgd-dlr`` with the same target work against.

    Args:
        oracle: gives the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: the one class to go for, shape (B,); the most likely wrong ones without it.
        steps: number of gradient steps towards each class, from 1.
        classes: how many classes, from 1; fewer where the network has fewer.
        restarts: number of random starts towards each class, from 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: for fewer than one step, class or restart.
    """
    check_steps("apgd-targeted", steps=steps, classes=classes, restarts=restarts)
    scores, coins = oracle.scores(x), oracle.coins(x)
    known = scores.shape[1]
    likely = scores.scatter(1, y[:, None], -torch.inf).topk(min(classes, known - 1), dim=1).indices  # (B, C)
    goals = likely if target is None else target[:, None]
    gained, labels = aimed(margin, y, target)
    rank, on_the_way = ranked(gained, aimed=target is not None), _left if target is None else _arrived
    best, rows = x, torch.arange(len(x), device=x.device)
    for run in range(goals.shape[1] * restarts):
        number, restart = divmod(run, restarts)
        if run and target is None:
            rows = _right_sometimes(oracle, best, y, rows)
        found = ascend(
            oracle,
            x[rows],
            y[rows] * known + goals[rows, number],
            coins,
            f"class {number}, start {restart}",
            budget=budget,
            loss=dlr_targeted,
            rank=on_the_way,
            steps=steps,
            rows=rows,
        )
        candidates = torch.stack([best[rows], found])  # (2, B, ...)
        better = best_of(oracle, candidates, labels[rows], rank, rows).bool()
        best = best.index_put((rows[better],), found[better])
    return best


def _right_sometimes(oracle: GradientOracle, best: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """The examples that any draw still answers rightly."""
    shares = torch.stack([oracle.wrong(best[rows], y[rows], rows=rows) for _ in range(CONFIRM)])  # (8, B)
    return rows[shares.amin(0) < 1]


def _left(logits: Tensor, pairs: Tensor) -> Tensor:
    """The rank on the way to a class: any answer but y wins, then the loss counts."""
    won = logits.argmax(1) != pairs // logits.shape[1]
    return dlr_targeted(logits, pairs) + WON * won.to(logits)


def _arrived(logits: Tensor, pairs: Tensor) -> Tensor:
    """The rank on the way to a class that alone is wanted."""
    won = logits.argmax(1) == pairs % logits.shape[1]
    return dlr_targeted(logits, pairs) + WON * won.to(logits)
