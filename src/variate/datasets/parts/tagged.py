"""Sentences with a label for every word, as inputs and labels: a vocabulary, neighbors of the same label, splits."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.conll import Sentence
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.neighbors import neighbors
from variate.datasets.parts.repeats import warn_of_repeats
from variate.datasets.parts.text import MOST_REPEATED, checked_length, encoded, given_splits, vocabulary
from variate.datasets.splits import cut_splits
from variate.errors import DataError

UNLABELED = -1  # of words without a label, and of padding
LEAST = 30  # sentences


def tagged_corpus(
    sentences: Sequence[Sentence],
    *,
    length: int,
    most: int = 10_000,
    least: int = 2,
    sizes: Mapping[str, int] | None = None,
    replaced: str,
    source: object,
) -> Loaded:
    """Encode sentences as inputs and labels; the vocabulary is built from the training split alone, in lower case.

    Of the neighbors of a word only those remain whose most frequent label in the training split is that of the word, so
    that replacing one by the other seldom changes what the right label is.

    Args:
        sentences: sentences with at least one labeled word, always in the same order.
        length: number of words of an input, T; the words after them are left out, with their labels.
        most: largest size of the vocabulary.
        least: how often a word must occur in the training split to be in the vocabulary.
        sizes: sizes of given splits, whose sentences follow one another; see ``corpus_of``.
        replaced: where the neighbors of words come from: see ``neighbors``.
        source: the file or folder, whose splits are checked for sentences that are in several of them.

    Raises:
        DataError: for too few sentences, a single label, or a source most of whose test sentences are in its training
            split.
    """
    length = checked_length(length)
    labels = sorted({word.label for sentence in sentences for word in sentence if word.label})
    if len(labels) < 2 or len(sentences) < LEAST:
        raise DataError(
            f"{len(sentences)} sentences with {len(labels)} labels are too few",
            expected=f"{LEAST} sentences, 2 labels",
        )
    indices = cut_splits(len(sentences)) if sizes is None else given_splits(sizes)
    texts = [[unicodedata.normalize("NFC", word.text).lower() for word in sentence] for sentence in sentences]
    warn_of_repeats(
        source,
        {name: [tuple(texts[i]) for i in rows] for name, rows in indices.items()},
        refused_from=MOST_REPEATED,
    )
    train = indices["train"]
    train_texts = [texts[i] for i in train]
    words = vocabulary(train_texts, most=most, least=least)
    ids = {word: i for i, word in enumerate(words)}
    usual = _usual_labels(train_texts, [sentences[i] for i in train])
    near = [
        [other for other in row if usual.get(words[other]) == usual.get(words[index])]
        for index, row in enumerate(neighbors(replaced, train_texts, ids))
    ]
    x, y = encoded(texts, ids, length), _labels(sentences, {label: i for i, label in enumerate(labels)}, length)
    about = About(
        kind="text",
        shape=(length, 1),
        classes=len(labels),
        budget="words:2",
        labels=tuple(labels),
        details={"words": words, "neighbors": near},
        task="positions(classes=last)",
    )
    splits = {str(name): (x[torch.from_numpy(rows)], y[torch.from_numpy(rows)]) for name, rows in indices.items()}
    return Loaded(about, splits)


def _usual_labels(texts: Sequence[Sequence[str]], sentences: Sequence[Sentence]) -> dict[str, str]:
    """The most frequent label of every word; of several, the first in order."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text, sentence in zip(texts, sentences, strict=True):
        for word, (_, label) in zip(text, sentence, strict=True):
            if label:
                counts[word][label] += 1
    return {word: min(count, key=lambda label: (-count[label], label)) for word, count in counts.items()}


def _labels(sentences: Sequence[Sentence], numbers: Mapping[str, int], length: int) -> Tensor:
    """Labels of the words, (N, T), -1 where there is none."""
    y = torch.full((len(sentences), length), UNLABELED)
    for row, sentence in enumerate(sentences):
        kept = [numbers.get(word.label, UNLABELED) for word in sentence[:length]]
        y[row, : len(kept)] = torch.tensor(kept)
    return y
