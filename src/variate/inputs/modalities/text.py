"""Texts: perturbed by replacing words, by typos, or by moving word vectors."""

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

TYPOS = 24  # at most so many candidates one typo away from a word, and as many two typos away


@modality(
    norms=("l2", "linf", "words", "chars"),
    cite="vectors: Miyato et al. 2017, arXiv:1605.07725; words: Alzantot et al. 2018, arXiv:1804.07998; characters: "
    "Ebrahimi et al. 2018, arXiv:1712.06751",
)
@dataclass(frozen=True)
class Text(Modality):
    """Texts of up to T words: at most K words replaced by neighbors, K typos, or word vectors moved within a ball.

    ``words:K`` replaces at most K words, each by one of its neighbors in the vocabulary. ``chars:K`` makes at most K
    typos, at most two per word; a typo turns a word into another word of the vocabulary or into the unknown word.
    ``l2`` and ``linf`` bound the offsets to all word vectors of a text together; no written text corresponds to them.

    Attributes:
        words: the vocabulary; index 0 is padding and index 1 the unknown word.
        neighbors: for every word the indices of the words that may replace it.
    """

    words: tuple[str, ...] | list[str] = ()
    neighbors: tuple[tuple[int, ...], ...] | list[list[int]] = ()

    def findings(self, x: Tensor) -> Iterator[str]:
        """Inputs of another shape, invalid word indices, empty texts."""
        if x.dtype in (torch.float16, torch.bfloat16):
            yield f"x is {x.dtype}, which rounds the indices of words: pass float32, whatever type the network has"
            return
        if x.dim() != 3:
            yield f"x has shape {tuple(x.shape)}: texts have shape (B, T, 1)"
            return
        ids = ids_of(x)
        if float((x[..., 0] * WORDS - ids).abs().max()) > 1e-3:
            yield "x has values that are not word indices divided by 65,536"
        if self.words and int(ids.max()) >= len(self.words):
            yield f"x has the word index {int(ids.max())}, but the vocabulary has {len(self.words)} words"
        empty = (ids == PADDING).all(1).nonzero()[:, 0].tolist()
        if empty:
            yield f"{len(empty)} texts are empty; the first is number {empty[0]}"

    def check(self, budget: Budget) -> None:
        """Check the norm of a budget, and that words can be replaced within it. Raises ``UsageError``."""
        super().check(budget)
        if budget.norm not in ("words", "chars"):
            return
        if not self.words:
            raise UsageError(
                f"words cannot be replaced within {budget}: the texts come without their vocabulary",
                todo="pass modality=variate.about(data).modality, or Text(words, neighbors)",
            )
        findings = list(_odd_neighbors(self.neighbors, len(self.words)))
        if budget.norm == "words" and findings:
            raise UsageError(
                "the neighbors of the words do not fit the vocabulary",
                findings=findings,
                expected="for every word in order a list of the indices of its neighbors",
            )

    def taken(self, network: nn.Module) -> nn.Module:
        """Wrap a network with its only word embedding; others are returned unchanged."""
        if reads_words(network):
            return network
        try:
            return Lookup(network, len(self.words))
        except UsageError:  # black-box attacks still work; others report what they need
            return network

    def smooth(self, x: Tensor, network: nn.Module) -> Tensor:
        """Convert inputs to the smooth form: (B, T, 1) to (B, T, 1 + E)."""
        return smooth(x, tokens_of(network).width)

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Words and their vectors, never padding."""
        self.check(budget)
        if budget.norm in ("words", "chars"):
            candidates, costs = self.swaps(budget.norm)
            swaps = Swaps(candidates.to(x.device), costs.to(x.device))
            return Reach(x, budget, measure=swaps.spent, swaps=swaps)
        scale = (ids_of(x) != PADDING).to(x).unsqueeze(-1).expand_as(x).clone()  # (B, T, 1 + E)
        scale[..., 0] = 0
        points = budget.with_size(str(budget.size / Fraction(2 * RADIUS)))
        return Reach(x, points, unit=2 * RADIUS, scale=scale)

    def example(self, shape: Sequence[int]) -> Tensor:
        """Two texts of random words from the vocabulary: (2, T, 1)."""
        uniform = torch.rand(2, shape[0], generator=torch.Generator().manual_seed(0))
        return inputs_of(UNKNOWN + (uniform * max(len(self.words) - UNKNOWN, 1)).long())

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """The words before and after, the offset to each vector in size, and their places if padding precedes one."""
        old, new = ids_of(original), ids_of(perturbed)
        mask = old != PADDING
        moved = (perturbed - original)[..., 1:].norm(dim=-1) * (2 * RADIUS)
        names = self.words or [str(index) for index in range(int(torch.maximum(old, new).max()) + 1)]
        words = {"original": old, "adversarial": new}
        shown = {name: [names[int(i)] for i in ids[mask]] for name, ids in words.items()}
        places = mask.nonzero()[:, 0].tolist()
        apart = {} if places == list(range(len(places))) else {"places": places}
        return Kept(details={**shown, "moved": [round(float(size), 4) for size in moved[mask]], **apart})

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """Every vector moved as far as the smooth form allows."""
        width = 2 * RADIUS
        if budget.norm == "linf":
            return Budget.parse(f"linf:{width:g}")
        return Budget.parse(f"l2:{width * (x[0].numel() * 1000) ** 0.5:.6g}")

    def swaps(self, norm: str) -> tuple[Tensor, Tensor]:
        """Replacements of each word, (V, C) indices padded with -1, and their costs, (V, C)."""
        return self._neighbors if norm == "words" else self._typos

    @cached_property
    def _neighbors(self) -> tuple[Tensor, Tensor]:
        rows = [list(row) for row in self.neighbors] or [[] for _ in self.words]
        return _table([[(index, 1) for index in row] for row in rows])

    @cached_property
    def _typos(self) -> tuple[Tensor, Tensor]:
        first = UNKNOWN + 1
        variants = _misspelt(tuple(self.words[first:]))
        rows = [[(first + index, typos) for index, typos in row] for row in variants]
        return _table([[], [], *([*row, (UNKNOWN, 1)] for row in rows)])


def _odd_neighbors(neighbors: object, count: int) -> Iterator[str]:
    """Problems of neighbors of a vocabulary of ``count`` words; none at all are no problem."""
    if isinstance(neighbors, str) or not isinstance(neighbors, Sequence):
        yield f"the neighbors are {type(neighbors).__name__}"
        return
    if neighbors and len(neighbors) != count:
        yield f"{len(neighbors):,} words have neighbors, and the vocabulary has {count:,} words"
    for index, row in enumerate(neighbors):
        odd = [word for word in row if not isinstance(word, int) or not 0 <= word < count]
        if odd:
            yield f"word {index} has the neighbor {odd[0]!r}"
            return


@lru_cache(4)
def _misspelt(words: tuple[str, ...]) -> list[list[tuple[int, int]]]:
    """Cached across modalities, because ten thousand words take seconds."""
    return misspelt(words, each=TYPOS)


def _table(rows: list[list[tuple[int, int]]]) -> tuple[Tensor, Tensor]:
    """Pad rows of (word index, cost) to one length; indices and costs as two tensors."""
    width = max((len(row) for row in rows), default=0) or 1
    table = torch.tensor([[*row, *[(-1, 0)] * (width - len(row))] for row in rows or [[]]])  # (V, C, 2)
    return table[..., 0].contiguous(), table[..., 1].contiguous()
