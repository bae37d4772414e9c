"""Texts as inputs: words, a vocabulary from the training split, its neighbours, fixed splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.neighbors import COOCCURRENCE, neighbors
from variate.datasets.splits import SHARES, cut_splits, permutation
from variate.errors import DataError, UsageError
from variate.inputs.words import PADDING, UNKNOWN, WORDS, inputs_of

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[!?$%]")  # of a text in lower case
NAMES = ("<pad>", "<unk>")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: letters with an apostrophe inside, digits, and the marks ! ? $ %."""
    return WORD.findall(text.lower())


def corpus_of(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    length: int,
    most: int = 10_000,
    least: int = 2,
    budget: str,
    sizes: Mapping[str, int] | None = None,
    replaced: str = COOCCURRENCE,
) -> Loaded:
    """Texts and labels as inputs; the vocabulary is that of the training split alone.

    A text without a word is one unknown word; of a longer text the first ``length`` words are kept.

    Args:
        texts: in any order, always the same.
        labels: a name for each; the classes are numbered in the order of their names.
        length: T, words of an input.
        most: words of the vocabulary.
        least: how often a word stands in the training split, to have a number of its own.
        budget: the data set's usual one.
        sizes: where the splits are given: how many texts each has, one after another; ``train`` and ``test`` are among
            them, and without ``validation`` a tenth of ``train`` is taken for it. By default one permutation cuts all.
        replaced: what may replace a word: see ``neighbors``.

    Raises:
        DataError: for too few texts, a single class, or a class that is in no training text of given splits.
    """
    length = checked_length(length)
    classes = sorted(set(labels))
    if len(classes) < 2 or len(texts) < 30:
        raise DataError(f"{len(texts)} texts of {len(classes)} classes are no data set", expected="30 texts, 2 classes")
    places = cut_splits(len(texts)) if sizes is None else _given(sizes)
    unseen = set(classes) - {labels[i] for i in places["train"]}
    if sizes is not None and unseen:
        raise DataError(f"no text of the training split has the label {', '.join(sorted(unseen))}")
    found = [words_of(text) for text in texts]
    learned = [found[i] for i in places["train"]]
    words = vocabulary(learned, most=most, least=least)
    numbers = {word: number for number, word in enumerate(words)}
    inputs = encoded(found, numbers, length)
    y = torch.tensor([classes.index(label) for label in labels])
    about = About(
        kind="text",
        shape=(length, 1),
        classes=len(classes),
        budget=budget,
        labels=tuple(classes),
        details={"words": words, "neighbors": neighbors(replaced, learned, numbers)},
    )
    splits = {name: (inputs[torch.from_numpy(at)], y[torch.from_numpy(at)]) for name, at in places.items()}
    return Loaded(about, splits)


def _given(sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Given splits, each mixed, so that the first few have every label."""
    places, start = {}, 0
    for name, count in sizes.items():
        places[name] = start + permutation(count)
        start += count
    if "validation" not in places:
        held = round(SHARES[1] * sizes["train"])
        places["validation"], places["train"] = places["train"][:held], places["train"][held:]
    return places


def checked_length(length: object) -> int:
    """The number of words that a text is cut to. Raises ``UsageError``."""
    if not isinstance(length, int) or length < 1:
        raise UsageError(f"the length {length} is no number of words", expected="a whole number from 1")
    return length


def vocabulary(texts: Sequence[Sequence[str]], *, most: int, least: int) -> list[str]:
    """Padding, the unknown word, then the words by how often they stand there, those alike by the alphabet."""
    counts = Counter(word for text in texts for word in text)
    known = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
    return [*NAMES, *known[: min(most, WORDS) - len(NAMES)]]


def encoded(texts: Sequence[Sequence[str]], numbers: dict[str, int], length: int) -> Tensor:
    """Numbers of words as inputs: shape (N, T, 1)."""
    ids = torch.full((len(texts), length), PADDING)
    for row, text in enumerate(texts):
        known = [numbers.get(word, UNKNOWN) for word in text[:length]] or [UNKNOWN]
        ids[row, : len(known)] = torch.tensor(known)
    return inputs_of(ids)
