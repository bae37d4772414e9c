"""Word replacement guided by scores, the most important words first."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.words import EditedTexts, best_change
from variate.inputs.budget import Budget
from variate.inputs.words import UNKNOWN
from variate.limits import Count
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
    places: Count = 12,
) -> Tensor:
    """Replace the most important words by their best candidates, one after another.

    A word's importance is the rise of the averaged loss when it becomes the unknown word, for all words under the same
    draws. Then, from the most important word on, every candidate is compared with changing nothing, under the same
    draws, and the one that raises the loss most for its cost is accepted, until the budget is spent. The published
    attack also requires candidates to be synonyms of the same part of speech and a sentence encoder to find the texts
    similar, and stops at the first success.

    Args:
        oracle: returns averaged losses.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: maximum number of replaced words, or of edited characters.
        target: target labels, shape (B,); None for an untargeted attack.
        places: number of words to try, at least 1; raised to the size of the budget if that is larger.

    Returns:
        Inputs, shape (B, T, 1).
    """
    objective, labels = aimed(cross_entropy, y, target)
    edited = EditedTexts(oracle, x, budget)
    length, examples = edited.ids.shape[1], torch.arange(len(x), device=x.device)

    def losses(texts: Tensor) -> Tensor:
        """Averaged losses of several texts per example under the same draws: (B, M, T) to (B, M)."""
        rows = examples.repeat_interleave(texts.shape[1])
        return oracle.loss(edited.as_inputs(texts.flatten(0, 1)), labels[rows], objective, rows=rows).view(len(x), -1)

    masked = edited.ids[:, None].repeat(1, length, 1)  # (B, T, T)
    masked[:, torch.arange(length), torch.arange(length)] = UNKNOWN
    importance = losses(masked).masked_fill(~edited.allowed.any(-1), -torch.inf)
    for position in importance.topk(min(max(places, int(budget.size)), length), 1).indices.unbind(1):
        allowed = edited.allowed[examples, position]  # (B, C)
        texts = edited.ids[:, None].repeat(1, 1 + allowed.shape[1], 1)  # (B, 1 + C, T), the current text first
        choices = torch.where(allowed, edited.candidates[examples, position], edited.ids[examples, position][:, None])
        texts[:, 1:].scatter_(2, position[:, None, None].expand(-1, allowed.shape[1], 1), choices[..., None])
        best = best_change(losses(texts), allowed, edited.costs[examples, position])
        winners = (best > 0).nonzero()[:, 0]
        edited.take(winners, position[winners], best[winners] - 1)
    return edited.inputs
