"""Positive and negative snippets of movie reviews, from the source distribution of vaderSentiment."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.archived import archived_text
from variate.datasets.parts.given import existing
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.text import corpus_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.registry import dataset

FILE = "movieReviewSnippets_GroundTruth.txt"
INNER = "hutto_ICWSM_2014.tar.gz"
EXPECTED = f"the source distribution of vaderSentiment, or {INNER} from it"
LENGTH = 40
NAMES = ("against", "for")


@dataset(
    modality="text",
    budget="words:2",
    cite="Hutto & Gilbert 2014 (VADER), from the reviews of Pang & Lee 2005; MIT, in the sources of vaderSentiment",
)
def movie_snippets(
    split: str, *, folder: Path | None = None, length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> tuple[Tensor, Tensor]:
    """About 10,600 snippets of movie reviews, each rated by 20 people; the label is the sign of the mean rating.

    Snippets with a mean rating of 0 are left out. 80 % train, 10 % validation, 10 % test; 40 words each.

    Args:
        split: ``train``, ``validation`` or ``test``; all are cut from one fixed permutation.
        folder: the source distribution of vaderSentiment, the archive hutto_ICWSM_2014.tar.gz inside it, or a folder
            with either of them unpacked.
        length: number of words of an input, T; longer texts are truncated.
        neighbors: words that may replace a word: ``cooccurrence`` (words used in similar contexts), ``wordnet``
            (synonyms), or a .json file that lists them for every word.

    Returns:
        Inputs, shape (N, T, 1), word indices divided by 65,536, and labels, shape (N,): 0 against, 1 for.

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
    todo = "pip download vaderSentiment --no-binary :all: --no-deps, then --data-folder THE_FILE.tar.gz"
    return existing(folder, "the movie snippets are not on this machine", expected=EXPECTED, todo=todo)


@read_once
def _corpus(source: Path, length: int, neighbors: str) -> Loaded:
    text = archived_text(source, FILE, inner=INNER, expected=EXPECTED)
    texts, labels = [], []
    for line_number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("\t", 2)
        try:
            rating = float(parts[1])
        except (IndexError, ValueError):
            raise DataError(f"line {line_number} of {FILE} has no rating: {line[:60]!r}") from None
        if rating != 0 and len(parts) == 3:
            texts.append(parts[2])
            labels.append(NAMES[rating > 0])
    return corpus_of(texts, labels, length=length, budget="words:2", replaced=neighbors)
