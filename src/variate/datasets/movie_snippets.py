"""Positive and negative snippets of movie reviews, from the source distribution of vaderSentiment."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.text import corpus_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.files.reading import extracted, reading
from variate.registry import dataset

FILE = "movieReviewSnippets_GroundTruth.txt"
INNER = "hutto_ICWSM_2014.tar.gz"
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
    if folder is None or not folder.exists():
        raise DataError(
            "the movie snippets are not on this machine" if folder is None else f"there is nothing at {folder}",
            expected=f"the source distribution of vaderSentiment, or {INNER} from it",
            todo="pip download vaderSentiment --no-binary :all: --no-deps, then --data-folder THE_FILE.tar.gz",
        )
    return folder


@read_once
def _corpus(source: Path, length: int, neighbors: str) -> Loaded:
    texts, labels = [], []
    for line_number, line in enumerate(_text(source).split("\n"), 1):
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


def _text(source: Path) -> str:
    """Read the file, wherever it is in folders or nested archives."""
    if source.is_dir():
        for name in (FILE, INNER):
            match = next((path for path in sorted(source.rglob(name)) if path.is_file()), None)
            if match is not None:
                return _text(match)
    elif source.name == FILE:
        with reading(source, DataError):
            return source.read_text(encoding="utf-8", errors="replace")
    else:
        with reading(source, DataError):
            content = source.read_bytes()
        text = _member(content, source)
        if text is not None:
            return text
    raise DataError(
        f"{source} does not contain {FILE}", expected=f"the source distribution of vaderSentiment, or {INNER} from it"
    )


def _member(content: bytes, source: Path) -> str | None:
    """The text of the file in an archive or in the archive inside it; None if it is not there."""
    with reading(source, DataError, expected="a tar archive"), tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in (FILE, INNER):
                inside = extracted(archive, member, DataError)
                return inside.decode("utf-8", errors="replace") if name == FILE else _member(inside, source)
    return None
