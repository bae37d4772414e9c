"""Words replaced at random until the label changes, and put back one by one while it stays changed."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.attacks.parts.steps import check_steps
from variate.attacks.parts.words import Replacing
from variate.inputs.budget import Budget
from variate.inputs.words import PADDING
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
    tries: int = 20,
    rounds: int = 2,
) -> Tensor:
    """Texts in which every word is replaced, until one has a wrong label; then words go back, in random order.

    A word goes back if the label that most draws give stays wrong without it. What is within the budget in the end is
    returned, the original text otherwise. Several ``rounds`` of putting back help on random networks, where an answer
    can be wrong by luck.

    Args:
        oracle: gives the label that most of its draws give.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: the most words, or characters.
        target: the labels to reach, shape (B,); None to leave ``y``.
        tries: texts with all words replaced, from 1.
        rounds: of putting back, from 1.

    Returns:
        Inputs, shape (B, T, 1).
    """
    check_steps("greedy-words-labels", tries=tries, rounds=rounds)
    state, coins = Replacing(oracle, x, budget), oracle.coins(x)
    original, everyone = state.original, torch.arange(len(x), device=x.device)
    counts = (state.candidates >= 0).sum(-1)  # (B, T)
    found, won = original.clone(), torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for number in range(tries):
        drawn = coins.integers(f"try {number}", original.shape[1:], counts.clamp(min=1))  # (B, T)
        swapped = state.candidates.gather(2, drawn[..., None])[..., 0]
        texts = torch.where((counts > 0) & (original != PADDING), swapped, original)
        wrong = reached(oracle.labels(state.as_inputs(texts)), y, target)
        found, won = torch.where((wrong & ~won)[:, None], texts, found), won | wrong
    for number in range(rounds):
        order = coins.uniform(f"order {number}", original.shape[1:]).argsort(1)  # (B, T)
        for place in order.unbind(1):
            texts = found.clone()
            texts[everyone, place] = original[everyone, place]
            wrong = reached(oracle.labels(state.as_inputs(texts)), y, target)
            found = torch.where((wrong & won)[:, None], texts, found)
    spent = state.swaps.spent(state.as_inputs(found), x)
    return state.as_inputs(torch.where((won & (spent <= budget.eps))[:, None], found, original))
