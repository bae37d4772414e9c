"""Texts whose words are replaced within a budget."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modality import Swaps
from variate.inputs.words import PADDING, ids_of, inputs_of
from variate.oracle.oracle import Oracle


@final
class EditedTexts:
    """Texts whose words are replaced one by one, each at most once, until the budget is spent.

    Args:
        oracle: its reach defines the candidates for each word.
        x: the original inputs, shape (B, T, 1).
        budget: maximum total cost of the replacements in a text.
    """

    def __init__(self, oracle: Oracle, x: Tensor, budget: Budget) -> None:
        if oracle.reach is None or oracle.reach.swaps is None:
            raise UsageError("the inputs have no words to replace", expected="texts, and a budget of words or chars")
        self.swaps: Swaps = oracle.reach.swaps
        self.original = ids_of(x)  # (B, T)
        self.ids = self.original.clone()
        self.remaining = torch.full((len(x),), int(budget.size), device=x.device)  # (B,)
        self._like = x
        self.candidates = self.swaps.candidates[self.original]  # (B, T, C)
        self.costs = self.swaps.costs[self.original]

    @property
    def inputs(self) -> Tensor:
        """The current texts as inputs: (B, T, 1)."""
        return self.as_inputs(self.ids)

    def as_inputs(self, ids: Tensor) -> Tensor:
        """Convert word ids to inputs with the dtype of the original ones: (..., T) to (..., T, 1)."""
        return inputs_of(ids).to(self._like)

    @property
    def allowed(self) -> Tensor:
        """Mask of the replacements that are still allowed: (B, T, C)."""
        unchanged = (self.ids == self.original) & (self.original != PADDING)  # (B, T)
        return (self.candidates >= 0) & unchanged[..., None] & (self.costs <= self.remaining[:, None, None])

    def with_change(self, rows: Tensor, position: Tensor, choice: Tensor) -> Tensor:
        """The texts of the given rows with one more word replaced: (N,), (N,) and (N,) to (N, T)."""
        ids = self.ids[rows].clone()
        ids[torch.arange(len(rows), device=ids.device), position] = self.candidates[rows, position, choice]
        return ids

    def take(self, rows: Tensor, position: Tensor, choice: Tensor) -> None:
        """Replace one word in each of the given texts and charge its cost: (N,), (N,) and (N,)."""
        self.ids[rows] = self.with_change(rows, position, choice)
        self.remaining[rows] -= self.costs[rows, position, choice]


def best_change(values: Tensor, possible: Tensor, costs: Tensor) -> Tensor:
    """Index of the best candidate, where candidate 0 changes nothing: (N, 1 + M) to (N,).

    The best candidate raises the value most relative to its cost, (N, M). Candidates that are not ``possible``, (N, M),
    are never selected: they stand for the unchanged text, whose value elsewhere in the batch may be larger by rounding.
    """
    gains = ((values[:, 1:] - values[:, :1]) / costs.clamp(min=1)).masked_fill(~possible, -torch.inf)  # (N, M)
    largest, best = gains.max(1)
    return torch.where(largest > 0, best + 1, 0)
