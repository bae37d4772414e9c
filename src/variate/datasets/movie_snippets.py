"""Snippets of movie reviews, for or against, from the sources of vaderSentiment."""

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
    """About 10,600 snippets of movie reviews, rated by 20 people each; the sign of the mean rating is the label.

    Snippets that are rated 0 are left out. 80 % train, 10 % validation, 10 % test; 40 words.

    Args:
        split: ``train``, ``validation`` or ``test``: cut from one fixed permutation.
        folder: the source distribution of vaderSentiment, the archive hutto_ICWSM_2014.tar.gz in it, or a folder that
            holds either of them unpacked.
        length: T, words of an input; what is longer loses its end.
        neighbors: what may replace a word: ``cooccurrence`` (words that stand among the same words), ``wordnet``
            (synonyms), or a .json file that lists it for every word.

    Returns:
        Inputs, shape (N, T, 1), numbers of words divided by 65,536, and labels, shape (N,): 0 against, 1 for.

    Raises:
        DataError: where the file cannot be found, or is damaged.
    """
    name = check_split(split)
    return _corpus(_place(folder), length, neighbors).splits[name]


def about(folder: Path | None = None, *, length: int = LENGTH, neighbors: str = COOCCURRENCE) -> About:
    """The facts of the data set, its vocabulary among them. Raises ``DataError``."""
    return _corpus(_place(folder), length, neighbors).about


def _place(folder: Path | None) -> Path:
    if folder is None or not folder.exists():
        raise DataError(
            "the movie snippets are not on this machine" if folder is None else f"there is nothing at {folder}",
            expected=f"the sources of vaderSentiment, or {INNER} from them",
            todo="pip download vaderSentiment --no-binary :all: --no-deps, then --data-folder THE_FILE.tar.gz",
        )
    return folder


@read_once
def _corpus(place: Path, length: int, replaced: str) -> Loaded:
    texts, labels = [], []
    for number, line in enumerate(_text(place).split("\n"), 1):
        if not line.strip():
            continue
        parts = line.split("\t", 2)
        try:
            rating = float(parts[1])
        except (IndexError, ValueError):
            raise DataError(f"line {number} of {FILE} has no rating: {line[:60]!r}") from None
        if rating != 0 and len(parts) == 3:
            texts.append(parts[2])
            labels.append(NAMES[rating > 0])
    return corpus_of(texts, labels, length=length, budget="words:2", replaced=replaced)


def _text(place: Path) -> str:
    """The file's text, wherever in archives or folders it is."""
    if place.is_dir():
        for name in (FILE, INNER):
            inside = next((path for path in sorted(place.rglob(name)) if path.is_file()), None)
            if inside is not None:
                return _text(inside)
    elif place.name == FILE:
        return place.read_text(encoding="utf-8", errors="replace")
    else:
        found = _member(place.read_bytes(), place)
        if found is not None:
            return found
    raise DataError(f"{place} does not hold {FILE}", expected=f"the sources of vaderSentiment, or {INNER}")


def _member(content: bytes, place: Path) -> str | None:
    """The file in an archive, or in the archive within it."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in (FILE, INNER):
                    inside = archive.extractfile(member)
                    read = inside.read() if inside is not None else b""
                    return read.decode("utf-8", errors="replace") if name == FILE else _member(read, place)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"cannot read {place}: {error}", expected="a tar archive") from error
    return None
