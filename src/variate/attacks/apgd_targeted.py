"""Auto-PGD towards each of the most likely wrong classes."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.apgd import ascend
from variate.attacks.parts.ranking import WON, best_index, ranked, squashed
from variate.inputs.budget import Budget
from variate.limits import Count
from variate.oracle.losses import aimed, dlr_targeted, margin
from variate.oracle.white_box import GradientOracle
from variate.registry import attack

CONFIRM = 8  # queries whose every draw must be wrong before an example is skipped


@attack(
    access="gradient",
    norms=("linf", "l2", "l1"),
    modality=("image", "audio", "text", "tabular"),
    cite="Croce & Hein 2020, arXiv:2003.01690, equation 7 and section 5; l1: Croce & Hein 2021, arXiv:2103.01208",
    targeted=True,
    quick={"steps": 40, "classes": 2},
    tasks=("classes", "binary"),
)
def apgd_targeted(
    oracle: GradientOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    steps: Count = 100,
    classes: Count = 9,
    restarts: Count = 1,
) -> Tensor:
    """Auto-PGD on the targeted difference-of-logits-ratio (DLR) loss, towards the most likely wrong classes in turn.

    The classes are those with the highest averaged scores at the inputs. Each run selects its best point as ``apgd-ce``
    does; of the points that the runs return, the attack keeps the one with the largest fraction of wrong draws, then
    the largest margin, evaluated on fresh draws that are the same for all. An example is skipped in later runs once
    every draw of eight further queries is wrong: on a random network a single query of few draws would be luck.

    The published loss compares the class with y alone. With ``target``, a third class may therefore end up on top;
    ``apgd-ce`` and ``apgd-dlr`` with the same target avoid that.

    Args:
        oracle: returns the averaged loss and its gradient.
        x: inputs in [0, 1], shape (B, ...).
        y: labels, shape (B,).
        budget: the norm and the size eps.
        target: target labels, shape (B,); None to try the most likely wrong classes.
        steps: number of gradient steps towards each class, at least 1.
        classes: number of target classes, at least 1, capped at the number of wrong classes.
        restarts: number of random starts towards each class, at least 1.

    Returns:
        Perturbed inputs inside the budget and inside [0, 1], shape (B, ...).

    Raises:
        UsageError: if ``steps``, ``classes`` or ``restarts`` is below 1.
    """
    scores, coins = oracle.scores(x), oracle.coins(x)
    num_classes = scores.shape[1]
    likely = scores.scatter(1, y[:, None], -torch.inf).topk(min(classes, num_classes - 1), dim=1).indices  # (B, C)
    goals = likely if target is None else target[:, None]
    gap, labels = aimed(margin, y, target)
    rank, ascent_rank = ranked(gap, aimed=target is not None), _untargeted_rank if target is None else _targeted_rank
    best, rows = x, torch.arange(len(x), device=x.device)
    for run in range(goals.shape[1] * restarts):
        class_index, restart = divmod(run, restarts)
        if run and target is None:
            rows = _unbroken(oracle, best, y, rows)
        perturbed = ascend(
            oracle,
            x[rows],
            y[rows] * num_classes + goals[rows, class_index],
            coins,
            f"class {class_index}, start {restart}",
            budget=budget,
            loss=dlr_targeted,
            rank=ascent_rank,
            steps=steps,
            rows=rows,
        )
        candidates = torch.stack([best[rows], perturbed])  # (2, B, ...)
        better = best_index(oracle, candidates, labels[rows], rank, rows).bool()
        best = best.index_put((rows[better],), perturbed[better])
    return best


def _unbroken(oracle: GradientOracle, best: Tensor, y: Tensor, rows: Tensor) -> Tensor:
    """Rows of the examples that some draw still classifies correctly."""
    shares = torch.stack([oracle.wrong(best[rows], y[rows], rows=rows) for _ in range(CONFIRM)])  # (8, B)
    return rows[shares.amin(0) < 1]


def _untargeted_rank(logits: Tensor, pairs: Tensor) -> Tensor:
    """Rank during an ascent without a target: any answer but y wins, then the loss decides."""
    won = logits.argmax(1) != pairs // logits.shape[1]
    return squashed(dlr_targeted(logits, pairs)) + WON * won.to(logits)


def _targeted_rank(logits: Tensor, pairs: Tensor) -> Tensor:
    """Rank during an ascent towards a target: only the target wins, then the loss decides."""
    won = logits.argmax(1) == pairs % logits.shape[1]
    return squashed(dlr_targeted(logits, pairs)) + WON * won.to(logits)
