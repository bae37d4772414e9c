"""Choosing among candidates by scores averaged over draws that are the same for all."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.oracle.losses import Loss
from variate.oracle.oracle import ScoreOracle

WON = 1e3  # what an answer that the attacker wants counts beside any loss


def best_of(oracle: ScoreOracle, candidates: Tensor, y: Tensor, rank: Loss, rows: Tensor | None = None) -> Tensor:
    """The number of each example's candidate of the highest averaged rank: (R, B, ...) to (B,); of equals the first.

    All candidates are put to one query, so to the same draws.

    Args:
        oracle: gives the averaged ranks.
        candidates: R for each example, shape (R, B, ...).
        y: labels, shape (B,).
        rank: such as ``ranked`` makes of a loss.
        rows: the examples in the batch of the oracle; in order without it.
    """
    count, examples = candidates.shape[:2]
    whose = torch.arange(examples) if rows is None else rows
    ranks = oracle.loss(candidates.flatten(0, 1), y.repeat(count), rank, rows=whose.repeat(count))  # (R * B,)
    return ranks.view(count, examples).argmax(0)


def ranked(loss: Loss, *, aimed: bool = False) -> Loss:
    """The share of draws that answer what the attacker wants comes first, then the loss.

    Args:
        loss: breaks ties.
        aimed: whether the labels are those to reach, rather than those to leave.
    """

    def rank(logits: Tensor, y: Tensor) -> Tensor:
        answers = logits.argmax(1)
        won = answers == y if aimed else answers != y
        return loss(logits, y) + WON * won.to(logits)

    return rank
