"""What may stand in the place of a word: words that stand among the same words, synonyms, or a list of one's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from variate.datasets.parts.wordnet import synonyms, wordnet
from variate.errors import DataError, UsageError
from variate.inputs.words import UNKNOWN

MOST = 8  # neighbours of a word
WINDOW, RANK, ALIKE = 4, 64, 0.35  # of words that stand among the same words
COMMON = 3_000  # of them, the most frequent ones, have neighbours and are neighbours
COOCCURRENCE, WORDNET = "cooccurrence", "wordnet"
EXPECTED = 'a file such as {"good": ["fine", "nice"], "film": ["movie"]}'


def neighbors(how: str, texts: Sequence[Sequence[str]], numbers: Mapping[str, int]) -> list[list[int]]:
    """For every word of a vocabulary the numbers of those that may replace it, the nearest first.

    Args:
        how: ``cooccurrence``, ``wordnet``, or a .json file that lists for words what may replace them.
        texts: of the training split, in words.
        numbers: of the vocabulary's words, in their order.

    Raises:
        UsageError: for another word, DataError for a file that cannot be used, or where no WordNet is found.
    """
    if how == COOCCURRENCE:
        return cooccurring(texts, numbers)
    if how == WORDNET:
        return synonyms(list(numbers), wordnet(), MOST)
    if not how.endswith(".json"):
        raise UsageError(f"there are no neighbors {how!r}", expected=f"{COOCCURRENCE}, {WORDNET}, or a .json file")
    return listed(Path(how), numbers)


def listed(path: Path, numbers: Mapping[str, int]) -> list[list[int]]:
    """The neighbours that a file lists, as many as it lists; words outside the vocabulary are left out."""
    try:
        lists = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}", expected=EXPECTED) from error
    if not isinstance(lists, dict):
        raise DataError(f"{path} holds no object", expected=EXPECTED)
    found: list[list[int]] = [[] for _ in numbers]
    for word, others in lists.items():
        if not isinstance(others, list) or not all(isinstance(other, str) for other in others):
            raise DataError(f"{path} lists no words for {word!r}", findings=[repr(others)[:80]], expected=EXPECTED)
        if numbers.get(word, 0) > UNKNOWN:
            known = [numbers[other] for other in dict.fromkeys(others) if numbers.get(other, 0) > UNKNOWN]
            found[numbers[word]] = [number for number in known if number != numbers[word]]
    if not any(found):
        raise DataError(f"{path} replaces no word of the vocabulary by another of it", expected=EXPECTED)
    return found


def cooccurring(texts: Sequence[Sequence[str]], numbers: Mapping[str, int]) -> list[list[int]]:
    """For every word those that stand among the same words, the nearest first; none for rare words.

    Positive pointwise mutual information of words within four of one another, its leading 64 singular directions, and
    the cosine between the words' rows (Levy & Goldberg 2014; Bullinaria & Levy 2012). Words that mean the opposite
    stand among the same words too: these belong to the same matter, and need not keep the meaning.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    size = min(len(numbers), COMMON)
    pairs: Counter[tuple[int, int]] = Counter()
    for text in texts:
        ids = [number if (number := numbers.get(word, 0)) < size else 0 for word in text]
        for place, one in enumerate(ids):
            for other in ids[place + 1 : place + 1 + WINDOW]:
                if one > UNKNOWN and other > UNKNOWN and one != other:
                    pairs[one, other] += 1
                    pairs[other, one] += 1
    found: list[list[int]] = [[] for _ in numbers]
    if len(pairs) < size:
        return found
    rows, columns = np.array(list(pairs)).T
    counts = np.fromiter(pairs.values(), float)
    totals = np.bincount(rows, counts, size)
    information = np.log(counts * counts.sum() / (totals[rows] * totals[columns]))
    kept = information > 0
    matrix = sparse.csr_matrix((information[kept], (rows[kept], columns[kept])), (size, size))
    left, strength, _ = randomized_svd(matrix, min(RANK, size - 1), random_state=0)
    return _nearest(left * np.sqrt(strength), found)


def _nearest(vectors: NDArray[np.float64], found: list[list[int]]) -> list[list[int]]:
    """The rows with the largest cosine, as many as ``MOST``, none below ``ALIKE``."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -1)
    cosines[:, : UNKNOWN + 1] = -1
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :MOST]
    for word in range(UNKNOWN + 1, len(vectors)):
        found[word] = [int(other) for other in best[word] if cosines[word, other] > ALIKE]
    return found
