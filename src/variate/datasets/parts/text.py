"""Texts as inputs: words, the vocabulary of the training split, neighbors of its words, fixed splits."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import regex
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.neighbors import COOCCURRENCE, neighbors
from variate.datasets.parts.repeats import warn_of_repeats
from variate.datasets.splits import SHARES, cut_splits, permutation
from variate.errors import DataError, UsageError
from variate.inputs.words import PADDING, UNKNOWN, WORDS, inputs_of

ENGLISH = re.compile(r"[a-z]+(?:'[a-z]+)?|[0-9]+|[!?$%]")  # in lower-case text
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc"  # scripts without spaces
RUN = regex.compile(rf"[{UNSPACED}][{UNSPACED}\p{{M}}]*")
SPACE_INSIDE = regex.compile(rf"[{UNSPACED}]\p{{M}}*\s+[{UNSPACED}]")
LETTERS = rf"[\p{{L}}--[{UNSPACED}]][[\p{{L}}\p{{M}}\u200c\u200d]--[{UNSPACED}]]*"  # marks and joiners within words
OTHERS = rf"{LETTERS}(?:'{LETTERS})?|\p{{Nd}}+|[!?$%]"
CHARACTERS = regex.compile(rf"[{UNSPACED}]\p{{M}}*|{OTHERS}", regex.VERSION1)
RUNS = regex.compile(rf"{RUN.pattern}|{OTHERS}", regex.VERSION1)
WORD_LENGTH = 4  # longest mean run of characters of an unspaced script that counts as words with spaces between them
MOST_REPEATED = 0.5  # share of test texts that may be in the training split
NAMES = ("<pad>", "<unk>")


def english_words(text: str) -> list[str]:
    """The lower-case words of an English text: a to z with at most one apostrophe inside, digits, and ! ? $ %."""
    return ENGLISH.findall(text.lower())


def words_of(text: str, *, by_character: bool = True) -> list[str]:
    """The lower-case words of a text in any language; of an English one the same as ``english_words``.

    A word is a run of letters and their marks, as Unicode defines them, with at most one apostrophe inside; a run of
    digits; or one of the marks ! ? $ %. Chinese, Japanese, Thai, Lao, Khmer and Burmese put no spaces between words, so
    each character with its marks is one; without ``by_character`` their runs between spaces are.
    """
    pattern = CHARACTERS if by_character else RUNS
    words: list[str] = pattern.findall(unicodedata.normalize("NFC", text).lower())
    return words


def is_spaced(texts: Sequence[str]) -> bool:
    """Whether words of scripts without spaces are separated by spaces here, as segmenters write them."""
    lengths = [len(run) for text in texts for run in RUN.findall(text)]
    return bool(lengths) and sum(lengths) <= WORD_LENGTH * len(lengths) and any(map(SPACE_INSIDE.search, texts))


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
    tokenize: Callable[[str], list[str]] = english_words,
    source: object = None,
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
        tokenize: splits a text into words.
        source: the user's own file or folder, whose splits are checked for texts that are in several of them.

    Raises:
        DataError: for too few texts, a single class, a class that does not occur in the training split, or a source
            most of whose test texts are in its training split.
    """
    length = checked_length(length)
    classes = sorted(set(labels))
    if len(classes) < 2 or len(texts) < 30:
        raise DataError(f"{len(texts)} texts of {len(classes)} classes are too few", expected="30 texts, 2 classes")
    indices = cut_splits(len(texts)) if sizes is None else given_splits(sizes)
    unseen = set(classes) - {labels[i] for i in indices["train"]}
    if unseen:
        raise DataError(
            f"no text of the training split has the label {', '.join(sorted(unseen))}",
            todo="add texts with this label, or remove those that there are",
        )
    tokenized = [tokenize(text) for text in texts]
    if source is not None:
        read = {name: [tuple(tokenized[i]) for i in rows] for name, rows in indices.items()}
        warn_of_repeats(source, read, refused_from=MOST_REPEATED)
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


def given_splits(sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
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
