"""Words of a vocabulary that are one or two typos apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

MAX_TYPOS = 2  # per word
ROWS = 512  # words that are compared with all others at a time


def misspelt(words: Sequence[str], *, each: int) -> list[list[tuple[int, int]]]:
    """For every word, the other words that are one or two typos away, and how many.

    A typo substitutes, deletes or inserts a letter, or swaps two adjacent ones; no letter is edited twice (optimal
    string alignment; Damerau 1964).

    Args:
        words: distinct words, most frequent first.
        each: largest number of words to return for each number of typos; the most frequent ones are kept.

    Returns:
        For every word, pairs (index of the other word, typos), sorted by typos and then by index.
    """
    rows: list[list[tuple[int, int]]] = []
    for start in range(0, len(words), ROWS):
        part = words[start : start + ROWS]
        distances = cdist(part, words, scorer=OSA.distance, score_cutoff=MAX_TYPOS, dtype=np.uint8)
        for row in distances:
            rows.append(
                [(int(i), typos) for typos in range(1, MAX_TYPOS + 1) for i in np.flatnonzero(row == typos)[:each]]
            )
    return rows
