"""Replacing words: which may still be replaced by what, and making it so."""

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
class Replacing:
    """Texts whose words are replaced one after another, each at most once, until the budget is spent.

    Args:
        oracle: whose reach says what may replace a word.
        x: the original inputs, shape (B, T, 1).
        budget: the most that all replacements of a text may cost.
    """

    def __init__(self, oracle: Oracle, x: Tensor, budget: Budget) -> None:
        if oracle.reach is None or oracle.reach.swaps is None:
            raise UsageError("there are no words to replace", expected="a budget of words or chars, for texts")
        self.swaps: Swaps = oracle.reach.swaps
        self.original = ids_of(x)  # (B, T)
        self.ids = self.original.clone()
        self.left = torch.full((len(x),), int(budget.size), device=x.device)  # (B,)
        self._like = x
        self.candidates = self.swaps.candidates[self.original]  # (B, T, C)
        self.costs = self.swaps.costs[self.original]

    @property
    def inputs(self) -> Tensor:
        """The texts as they are now: (B, T, 1)."""
        return self.as_inputs(self.ids)

    def as_inputs(self, ids: Tensor) -> Tensor:
        """Numbers of words as inputs of the original ones' type: (..., T) to (..., T, 1)."""
        return inputs_of(ids).to(self._like)

    @property
    def open(self) -> Tensor:
        """Which replacements are still possible: (B, T, C)."""
        fresh = (self.ids == self.original) & (self.original != PADDING)  # (B, T)
        return (self.candidates >= 0) & fresh[..., None] & (self.costs <= self.left[:, None, None])

    def with_change(self, rows: Tensor, place: Tensor, choice: Tensor) -> Tensor:
        """The texts of some rows with one more word replaced: (N,), (N,) and (N,) to (N, T)."""
        ids = self.ids[rows].clone()
        ids[torch.arange(len(rows), device=ids.device), place] = self.candidates[rows, place, choice]
        return ids

    def take(self, rows: Tensor, place: Tensor, choice: Tensor) -> None:
        """Replace one word in each of some texts, and pay for it: (N,), (N,) and (N,)."""
        self.ids[rows] = self.with_change(rows, place, choice)
        self.left[rows] -= self.costs[rows, place, choice]


def best_change(values: Tensor, possible: Tensor, costs: Tensor) -> Tensor:
    """The number of the best of several candidates, the first of which is to change nothing: (N, 1 + M) to (N,).

    The best raises the value most for what it costs, (N, M). What is not ``possible``, (N, M), is never chosen: it
    stands for the text as it is, whose value in another place of a batch may be larger by rounding.
    """
    raised = ((values[:, 1:] - values[:, :1]) / costs.clamp(min=1)).masked_fill(~possible, -torch.inf)  # (N, M)
    most, best = raised.max(1)
    return torch.where(most > 0, best + 1, 0)
