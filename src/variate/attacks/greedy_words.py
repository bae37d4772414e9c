"""Words replaced by what the scores say, the important ones first."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.steps import check_steps
from variate.attacks.parts.words import Replacing, best_change
from variate.inputs.budget import Budget
from variate.inputs.words import UNKNOWN
from variate.oracle.losses import aimed, cross_entropy
from variate.oracle.oracle import ScoreOracle
from variate.registry import attack


@attack(
    access="scores",
    norms=("words", "chars"),
    modality=("text",),
    cite="Jin et al. 2020 (TextFooler), arXiv:1907.11932; candidates from the vocabulary, no sentence encoder",
    targeted=True,
)
def greedy_words(
    oracle: ScoreOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    places: int = 12,
) -> Tensor:
    """The words whose loss raises the averaged loss most are replaced by their best candidates, one after another.

    A word is important by how much the loss rises when it becomes the unknown word; all are tried under the same
    draws. Then, from the most important on, every candidate of a word is asked about beside changing nothing, under the
    same draws, and what raises the loss most for its cost is taken, until the budget is spent. The published attack
    also asks that the candidate be a synonym of the same part of speech and that a sentence encoder find the texts
    alike, and stops at the first success.

    Args:
        oracle: gives averaged losses.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: the most words, or characters.
        target: the labels to reach, shape (B,); None to leave ``y``.
        places: words that are tried, from 1; as many as the budget has, where that is more.

    Returns:
        Inputs, shape (B, T, 1).
    """
    check_steps("greedy-words", places=places)
    raised, labels = aimed(cross_entropy, y, target)
    state = Replacing(oracle, x, budget)
    length, everyone = state.ids.shape[1], torch.arange(len(x), device=x.device)

    def losses(texts: Tensor) -> Tensor:
        """Of several texts for each example, (B, M, T), under the same draws: (B, M)."""
        rows = everyone.repeat_interleave(texts.shape[1])
        return oracle.loss(state.as_inputs(texts.flatten(0, 1)), labels[rows], raised, rows=rows).view(len(x), -1)

    without = state.ids[:, None].repeat(1, length, 1)  # (B, T, T)
    without[:, torch.arange(length), torch.arange(length)] = UNKNOWN
    important = losses(without).masked_fill(~state.open.any(-1), -torch.inf)
    for place in important.topk(min(max(places, int(budget.size)), length), 1).indices.unbind(1):
        open_here = state.open[everyone, place]  # (B, C)
        texts = state.ids[:, None].repeat(1, 1 + open_here.shape[1], 1)  # (B, 1 + C, T), what is there first
        choices = torch.where(open_here, state.candidates[everyone, place], state.ids[everyone, place][:, None])
        texts[:, 1:].scatter_(2, place[:, None, None].expand(-1, open_here.shape[1], 1), choices[..., None])
        best = best_change(losses(texts), open_here, state.costs[everyone, place])
        winners = (best > 0).nonzero()[:, 0]
        state.take(winners, place[winners], best[winners] - 1)
    return state.inputs
