"""Texts: a few words or letters are changed, or the vectors of the words are moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.modalities.parts.spelling import misspelt
from variate.inputs.modality import Kept, Modality, Reach, Swaps
from variate.inputs.words import (
    PADDING,
    RADIUS,
    UNKNOWN,
    WORDS,
    Lookup,
    ids_of,
    inputs_of,
    reads_words,
    smooth,
    tokens_of,
)
from variate.registry import modality

TYPOS = 24  # words of the vocabulary that one typo makes of a word, at most; and as many that two make


@modality(
    norms=("l2", "linf", "words", "chars"),
    cite="vectors: Miyato et al. 2017, arXiv:1605.07725; words: Alzantot et al. 2018, arXiv:1804.07998; characters: "
    "Ebrahimi et al. 2018, arXiv:1712.06751",
)
@dataclass(frozen=True)
class Text(Modality):
    """Texts of up to T words: at most K words replaced by neighbours, K typos, or vectors moved within a ball.

    ``words:K`` replaces at most K words, each by one of its neighbours in the vocabulary. ``chars:K`` makes at most K
    typos, at most two in a word; they make another word of the vocabulary, or one that the network does not know.
    ``l2`` and ``linf`` bound what is added to the vectors of the words of a text together: no person could write it.

    Attributes:
        words: the vocabulary; number 0 is padding and number 1 the unknown word.
        neighbors: for every word the numbers of those that may replace it.
    """

    words: tuple[str, ...] | list[str] = ()
    neighbors: tuple[tuple[int, ...], ...] | list[list[int]] = ()

    def findings(self, x: Tensor) -> Iterator[str]:
        """Numbers of words that are none, texts without a word."""
        if x.dim() != 3:
            yield f"x has shape {tuple(x.shape)}: texts have shape (B, T, 1)"
            return
        ids = ids_of(x)
        if float((x[..., 0] * WORDS - ids).abs().max()) > 1e-3:
            yield "x holds values that are no whole numbers of words divided by 65,536"
        if self.words and int(ids.max()) >= len(self.words):
            yield f"x has the word number {int(ids.max())}, and the vocabulary has {len(self.words)}"
        empty = (ids == PADDING).all(1).nonzero()[:, 0].tolist()
        if empty:
            yield f"{len(empty)} texts are empty, the first being number {empty[0]}"

    def taken(self, network: nn.Module) -> nn.Module:
        """With its only embedding of words as the layer that makes vectors of them, where it has one such."""
        if reads_words(network):
            return network
        try:
            return Lookup(network, len(self.words))
        except UsageError:  # what only asks can attack it still; other attacks say what they miss
            return network

    def smooth(self, x: Tensor, network: nn.Module) -> Tensor:
        """The form in which a network has a gradient: (B, T, 1) to (B, T, 1 + E)."""
        return smooth(x, tokens_of(network).width)

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """What may be changed: words and their vectors, never padding."""
        self.check(budget)
        if budget.norm in ("words", "chars"):
            candidates, costs = self.swaps(budget.norm)
            swaps = Swaps(candidates.to(x.device), costs.to(x.device))
            return Reach(x, budget, measure=swaps.spent, swaps=swaps)
        there = (ids_of(x) != PADDING).to(x).unsqueeze(-1).expand_as(x).clone()  # (B, T, 1 + E)
        there[..., 0] = 0
        inside = budget.with_size(str(budget.size / Fraction(2 * RADIUS)))
        return Reach(x, inside, unit=2 * RADIUS, scale=there)

    def example(self, shape: Sequence[int]) -> Tensor:
        """Two texts of words from the vocabulary: (2, T, 1)."""
        drawn = torch.rand(2, shape[0], generator=torch.Generator().manual_seed(0))
        return inputs_of(UNKNOWN + (drawn * max(len(self.words) - UNKNOWN, 1)).long())

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """The words before and after, and how far each vector was moved."""
        old, new = ids_of(original), ids_of(perturbed)
        there = old != PADDING
        moved = (perturbed - original)[..., 1:].norm(dim=-1) * (2 * RADIUS)
        names = self.words or [str(number) for number in range(int(torch.maximum(old, new).max()) + 1)]
        words = {"original": old, "adversarial": new}
        shown = {name: [names[int(i)] for i in ids[there]] for name, ids in words.items()}
        return Kept(details={**shown, "moved": [round(float(size), 4) for size in moved[there]]})

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """Every vector moved as far as the form allows."""
        width = 2 * RADIUS
        if budget.norm == "linf":
            return Budget.parse(f"linf:{width:g}")
        return Budget.parse(f"l2:{width * (x[0].numel() * 1000) ** 0.5:.6g}")

    def swaps(self, norm: str) -> tuple[Tensor, Tensor]:
        """What each word may become and what that costs: (V, C) numbers, -1 where there is nothing, and (V, C)."""
        return self._neighbors if norm == "words" else self._typos

    @cached_property
    def _neighbors(self) -> tuple[Tensor, Tensor]:
        rows = [list(row) for row in self.neighbors] or [[] for _ in self.words]
        return _table([[(number, 1) for number in row] for row in rows])

    @cached_property
    def _typos(self) -> tuple[Tensor, Tensor]:
        first = UNKNOWN + 1
        found = _misspelt(tuple(self.words[first:]))
        rows = [[(first + number, typos) for number, typos in row] for row in found]
        return _table([[], [], *([*row, (UNKNOWN, 1)] for row in rows)])


@lru_cache(4)
def _misspelt(words: tuple[str, ...]) -> list[list[tuple[int, int]]]:
    """Seconds for ten thousand words: kept, whichever modality asks."""
    return misspelt(words, each=TYPOS)


def _table(rows: list[list[tuple[int, int]]]) -> tuple[Tensor, Tensor]:
    """Rows of different lengths, of numbers of words and what each costs, as two tensors."""
    width = max((len(row) for row in rows), default=0) or 1
    table = torch.tensor([[*row, *[(-1, 0)] * (width - len(row))] for row in rows or [[]]])  # (V, C, 2)
    return table[..., 0].contiguous(), table[..., 1].contiguous()
