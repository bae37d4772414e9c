"""Texts as inputs: words, the vocabulary of the training split, neighbors of its words, fixed splits."""

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

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[!?$%]")  # in lower-case text
NAMES = ("<pad>", "<unk>")


def words_of(text: str) -> list[str]:
    """The lower-case words of a text: letters with at most one apostrophe inside, digits, and the marks ! ? $ %."""
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
    """Encode texts and labels as inputs; the vocabulary is built from the training split alone.

    A text without words becomes one unknown word; longer texts are truncated to ``length`` words.

    Args:
        texts: the texts, always in the same order.
        labels: class name of each text; classes are numbered in the order of their names.
        length: number of words of an input, T.
        most: largest size of the vocabulary.
        least: how often a word must occur in the training split to be in the vocabulary.
        budget: the budget usually used with the data set.
        sizes: sizes of given splits, whose texts follow one another; ``train`` and ``test`` are required, and without
            ``validation`` 10 % of ``train`` are taken for it. By default all texts are split by one permutation.
        replaced: where the neighbors of words come from: see ``neighbors``.

    Raises:
        DataError: for too few texts, a single class, or a class that does not occur in a given training split.
    """
    length = checked_length(length)
    classes = sorted(set(labels))
    if len(classes) < 2 or len(texts) < 30:
        raise DataError(f"{len(texts)} texts of {len(classes)} classes are too few", expected="30 texts, 2 classes")
    indices = cut_splits(len(texts)) if sizes is None else _given_splits(sizes)
    unseen = set(classes) - {labels[i] for i in indices["train"]}
    if sizes is not None and unseen:
        raise DataError(f"no text of the training split has the label {', '.join(sorted(unseen))}")
    tokenized = [words_of(text) for text in texts]
    train_texts = [tokenized[i] for i in indices["train"]]
    words = vocabulary(train_texts, most=most, least=least)
    ids = {word: i for i, word in enumerate(words)}
    inputs = encoded(tokenized, ids, length)
    y = torch.tensor([classes.index(label) for label in labels])
    about = About(
        kind="text",
        shape=(length, 1),
        classes=len(classes),
        budget=budget,
        labels=tuple(classes),
        details={"words": words, "neighbors": neighbors(replaced, train_texts, ids)},
    )
    splits = {name: (inputs[torch.from_numpy(rows)], y[torch.from_numpy(rows)]) for name, rows in indices.items()}
    return Loaded(about, splits)


def _given_splits(sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Indices of given splits, each shuffled so that the first few have all labels."""
    indices, start = {}, 0
    for name, count in sizes.items():
        indices[name] = start + permutation(count)
        start += count
    if "validation" not in indices:
        held_out = round(SHARES[1] * sizes["train"])
        indices["validation"], indices["train"] = indices["train"][:held_out], indices["train"][held_out:]
    return indices


def checked_length(length: object) -> int:
    """Check the number of words that texts are truncated to. Raises ``UsageError``."""
    if not isinstance(length, int) or length < 1:
        raise UsageError(f"the length {length} is not a valid number of words", expected="a whole number from 1")
    return length


def vocabulary(texts: Sequence[Sequence[str]], *, most: int, least: int) -> list[str]:
    """Padding, the unknown word, then the words by decreasing frequency; ties are in alphabetical order."""
    counts = Counter(word for text in texts for word in text)
    kept = sorted((word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word))
    return [*NAMES, *kept[: min(most, WORDS) - len(NAMES)]]


def encoded(texts: Sequence[Sequence[str]], word_ids: dict[str, int], length: int) -> Tensor:
    """Encode words as inputs, shape (N, T, 1), given the index of each word."""
    ids = torch.full((len(texts), length), PADDING)
    for row, text in enumerate(texts):
        row_ids = [word_ids.get(word, UNKNOWN) for word in text[:length]] or [UNKNOWN]
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
    return inputs_of(ids)
