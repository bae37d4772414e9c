"""The share of words that are wrong, left out or put in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from variate.errors import UsageError
from variate.metrics.metric import Metric, Prepared
from variate.metrics.parts.edits import error_rate, transcripts
from variate.metrics.responses import Responses
from variate.registry import metric


@metric(tasks=("transcript",), better="low", needs="answers", cite="Levenshtein 1966")
@dataclass(frozen=True)
class WordErrorRate(Metric):
    """The word error rate: edits from the answers to the labels, word by word, divided by the number of words.

    An edit changes, leaves out or puts in one word. All examples are counted together.

    Attributes:
        space: the symbol between two words; by default every symbol is a word, as in strings of spoken digits.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    space: int | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        whole = (
            not isinstance(self.space, bool) and isinstance(self.space, int | float) and self.space == int(self.space)
        )
        if self.space is not None and not (whole and self.space >= 0):
            raise UsageError(f"space of word-error-rate is {self.space!r}", expected="the number of a symbol, from 0")

    def prepared(self, given: Responses) -> Prepared:
        """The rate."""
        labels, answers = transcripts(given)
        return error_rate(self, list(map(self._words, labels)), [list(map(self._words, row)) for row in answers])

    def _words(self, symbols: Sequence[int]) -> list[tuple[int, ...]]:
        if self.space is None:
            return [(symbol,) for symbol in symbols]
        runs = groupby(symbols, key=lambda symbol: symbol == self.space)
        return [tuple(run) for between, run in runs if not between]
