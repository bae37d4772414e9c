"""Word replacement with labels only: random replacements, then words are restored while the label stays wrong."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.words import EditedTexts
from variate.inputs.budget import Budget
from variate.inputs.words import PADDING
from variate.limits import Count
from variate.oracle.losses import reached
from variate.oracle.oracle import LabelOracle
from variate.registry import attack


@attack(
    access="labels",
    norms=("words", "chars"),
    modality=("text",),
    cite="Maheshwary et al. 2021, arXiv:2012.14956, without its genetic search",
    targeted=True,
)
def greedy_words_labels(
    oracle: LabelOracle,
    x: Tensor,
    y: Tensor,
    *,
    budget: Budget,
    target: Tensor | None = None,
    tries: Count = 20,
    rounds: Count = 2,
) -> Tensor:
    """Replace every word at random until the label is wrong, then restore words in random order.

    A word is restored if the label that most draws predict stays wrong without its replacement. A result within the
    budget is returned, otherwise the original text. Several ``rounds`` of restoring help on random networks, where an
    answer can be wrong by luck.

    Args:
        oracle: returns the label that most of its draws predict.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: maximum number of replaced words, or of edited characters.
        target: target labels, shape (B,); None for an untargeted attack.
        tries: number of texts with all words replaced to try, at least 1.
        rounds: number of passes that restore words, at least 1.

    Returns:
        Inputs, shape (B, T, 1).
    """
    edited, coins = EditedTexts(oracle, x, budget), oracle.coins(x)
    original, rows = edited.original, torch.arange(len(x), device=x.device)
    counts = (edited.candidates >= 0).sum(-1)  # (B, T)
    ids, won = original.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for index in range(tries):
        drawn = coins.integers(f"try {index}", original.shape[1:], counts.clamp(min=1))  # (B, T)
        swapped = edited.candidates.gather(2, drawn[..., None])[..., 0]
        texts = torch.where((counts > 0) & (original != PADDING), swapped, original)
        wrong = reached(oracle.labels(edited.as_inputs(texts)), y, target)
        ids, won = torch.where((wrong & ~won)[:, None], texts, ids), won | wrong
    for index in range(rounds):
        order = coins.uniform(f"order {index}", original.shape[1:]).argsort(1)  # (B, T)
        for position in order.unbind(1):
            texts = ids.clone()
            texts[rows, position] = original[rows, position]
            wrong = reached(oracle.labels(edited.as_inputs(texts)), y, target)
            ids = torch.where((wrong & won)[:, None], texts, ids)
    spent = edited.swaps.spent(edited.as_inputs(ids), x)
    return edited.as_inputs(torch.where((won & (spent <= budget.eps))[:, None], ids, original))
