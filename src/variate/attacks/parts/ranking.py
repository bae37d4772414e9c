"""Selecting the best of several candidates by scores averaged over draws that are the same for all."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

WON = 1e3  # bonus for a successful answer, larger than any loss in ``squashed`` form
LINEAR = 10.0  # size up to which a loss counts as it is


def best_index(oracle: ScoreOracle, candidates: Tensor, y: Tensor, rank: Loss, rows: Tensor | None = None) -> Tensor:
    """Index of the candidate with the highest averaged rank, the first of equals: (R, B, ...) to (B,).

    All candidates are evaluated in one query, and so under the same draws.

    Args:
        oracle: returns averaged ranks.
        candidates: R candidates per example, shape (R, B, ...).
        y: labels, shape (B,).
        rank: the score to average, such as a loss wrapped by ``ranked``.
        rows: indices of the examples in the oracle's batch, shape (B,); all of them, in order, if None.
    """
    count, examples = candidates.shape[:2]
    all_rows = torch.arange(examples) if rows is None else rows
    ranks = oracle.loss(candidates.flatten(0, 1), y.repeat(count), rank, rows=all_rows.repeat(count))  # (R * B,)
    return ranks.view(count, examples).argmax(0)


def ranked(loss: Loss, *, aimed: bool = False) -> Loss:
    """Rank by the fraction of draws that the attack fools, then by the loss.

    Args:
        loss: breaks ties.
        aimed: whether the labels are targets to reach, rather than labels to avoid.
    """

    def rank(logits: Tensor, y: Tensor) -> Tensor:
        answers = logits.argmax(1)
        won = answers == y if aimed else answers != y
        return squashed(loss(logits, y)) + WON * won.to(logits)

    return rank


def squashed(loss: Tensor) -> Tensor:
    """A loss in the same order and below 1e3, however large the logits are: logarithmic beyond ``LINEAR``."""
    size = loss.abs()
    return torch.where(size > LINEAR, loss.sign() * LINEAR * (1 + (size / LINEAR).clamp(min=1).log()), loss)
