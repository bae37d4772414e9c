"""Which words of a vocabulary are one typo or two apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

MOST = 2  # typos in a word
ROWS = 512  # words that are compared with all others at a time


def misspelt(words: Sequence[str], *, each: int) -> list[list[tuple[int, int]]]:
    """For every word the others that typos make of it, and how many typos that takes, 1 or 2.

    A typo changes a letter, leaves one out, puts one in, or swaps two neighbors; no letter is touched twice (the
    distance of optimal string alignment; Damerau 1964).

    Args:
        words: different words, the most frequent ones first.
        each: of each number of typos, how many others at most, the first ones.

    Returns:
        Places of words with numbers of typos, those of one typo first, each in the order of the vocabulary.
    """
    rows: list[list[tuple[int, int]]] = []
    for start in range(0, len(words), ROWS):
        part = words[start : start + ROWS]
        distances = cdist(part, words, scorer=OSA.distance, score_cutoff=MOST, dtype=np.uint8)
        for row in distances:
            rows.append([(int(i), typos) for typos in range(1, MOST + 1) for i in np.flatnonzero(row == typos)[:each]])
    return rows
