"""Replacements for words: words of the same contexts, synonyms, or the user's own list."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from variate.datasets.parts.wordnet import synonyms, wordnet
from variate.errors import DataError, UsageError
from variate.files.reading import reading
from variate.inputs.words import UNKNOWN

MOST = 8  # largest number of neighbors of a word
WINDOW, RANK, MIN_COSINE = 4, 64, 0.35  # of the co-occurrence vectors
COMMON = 3_000  # only this many most frequent words have neighbors and are neighbors
COOCCURRENCE, WORDNET = "cooccurrence", "wordnet"
EXPECTED = 'a file such as {"good": ["fine", "nice"], "film": ["movie"]}'


def neighbors(how: str, texts: Sequence[Sequence[str]], word_ids: Mapping[str, int]) -> list[list[int]]:
    """For every word of a vocabulary, the ids of the words that may replace it, nearest first.

    Args:
        how: ``cooccurrence``, ``wordnet``, or a .json file that lists replacements by word.
        texts: texts of the training split, split into words.
        word_ids: ids of the vocabulary's words, in order.

    Raises:
        UsageError: for an unknown method.
        DataError: for a file that cannot be used, or if no WordNet is found.
    """
    if how == COOCCURRENCE:
        return cooccurring(texts, word_ids)
    if how == WORDNET:
        with reading("WordNet", DataError, todo="install it again"):
            return synonyms(list(word_ids), wordnet(), MOST)
    if not how.endswith(".json"):
        raise UsageError(f"there are no neighbors {how!r}", expected=f"{COOCCURRENCE}, {WORDNET}, or a .json file")
    return listed(Path(how), word_ids)


def listed(path: Path, word_ids: Mapping[str, int]) -> list[list[int]]:
    """All neighbors that a file lists, except for words outside the vocabulary."""
    with reading(path, DataError, expected=EXPECTED):
        lists = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(lists, dict):
        raise DataError(f"{path} does not hold an object", expected=EXPECTED)
    rows: list[list[int]] = [[] for _ in word_ids]
    for word, replacements in lists.items():
        if not isinstance(replacements, list) or not all(isinstance(text, str) for text in replacements):
            raise DataError(
                f"{path} lists no words for {word!r}", findings=[repr(replacements)[:80]], expected=EXPECTED
            )
        if word_ids.get(word, 0) > UNKNOWN:
            ids = [word_ids[text] for text in dict.fromkeys(replacements) if word_ids.get(text, 0) > UNKNOWN]
            rows[word_ids[word]] = [i for i in ids if i != word_ids[word]]
    if not any(rows):
        raise DataError(f"{path} replaces no word of the vocabulary by another word of it", expected=EXPECTED)
    return rows


def cooccurring(texts: Sequence[Sequence[str]], word_ids: Mapping[str, int]) -> list[list[int]]:
    """For every word, the words of similar contexts, nearest first; none for rare words.

    The vectors are the leading 64 singular directions of the positive pointwise mutual information of words at most
    four apart, compared by cosine (Levy & Goldberg 2014; Bullinaria & Levy 2012). Antonyms have similar contexts too:
    neighbors are related in topic, and need not keep the meaning.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    size = min(len(word_ids), COMMON)
    pairs: Counter[tuple[int, int]] = Counter()
    for text in texts:
        ids = [word_id if (word_id := word_ids.get(word, 0)) < size else 0 for word in text]
        for position, left in enumerate(ids):
            for right in ids[position + 1 : position + 1 + WINDOW]:
                if left > UNKNOWN and right > UNKNOWN and left != right:
                    pairs[left, right] += 1
                    pairs[right, left] += 1
    neighbor_ids: list[list[int]] = [[] for _ in word_ids]
    if len(pairs) < size:
        return neighbor_ids
    rows, columns = np.array(list(pairs)).T
    counts = np.fromiter(pairs.values(), float)
    totals = np.bincount(rows, counts, size)
    information = np.log(counts * counts.sum() / (totals[rows] * totals[columns]))
    positive = information > 0
    matrix = sparse.csr_matrix((information[positive], (rows[positive], columns[positive])), (size, size))
    vectors, strengths, _ = randomized_svd(matrix, min(RANK, size - 1), random_state=0)
    return _nearest(vectors * np.sqrt(strengths), neighbor_ids)


def _nearest(vectors: NDArray[np.float64], neighbor_ids: list[list[int]]) -> list[list[int]]:
    """Fill in the ids of the rows with the largest cosine, at most ``MOST``, none below ``MIN_COSINE``."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    cosines[:, : UNKNOWN + 1] = -1
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :MOST]
    for word in range(UNKNOWN + 1, len(vectors)):
        neighbor_ids[word] = [int(other) for other in best[word] if cosines[word, other] > MIN_COSINE]
    return neighbor_ids
