"""Labelled texts from a file of one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from variate.datasets._text import Corpus, corpus_of
from variate.errors import DataError
from variate.facts import About
from variate.registry import dataset

LENGTH = 64
EXPECTED = "a .csv file with the columns text and label, or a .jsonl file of objects with these names"


@dataset(modality="text", budget="words:2", cite="the user's own file")
def texts(split: str, *, folder: Path | None = None) -> tuple[Tensor, Tensor]:
    """Texts and labels from a .csv or .jsonl file with the columns text and label; the first 64 words of each.

    Args:
        split: ``train`` (80 %), ``validation`` or ``test``: cut from one fixed permutation.
        folder: the file.

    Returns:
        Inputs, shape (N, 64, 1), numbers of words divided by 65,536, and labels, shape (N,), numbered by their names.

    Raises:
        DataError: where there is no such file, or a row has no text or no label.
    """
    return _corpus(_place(folder)).split(split)


def about(folder: Path | None = None) -> About:
    """The facts of the data set, its vocabulary among them. Raises ``DataError``."""
    return _corpus(_place(folder)).about


def _place(folder: Path | None) -> Path:
    if folder is None or not folder.is_file():
        found = "no file is named" if folder is None else f"there is no file {folder}"
        raise DataError(found, expected=EXPECTED, todo="--data-folder FILE.csv")
    return folder


@lru_cache(maxsize=2)
def _corpus(place: Path) -> Corpus:
    rows = list(_rows(place))
    missing = [
        number for number, row in rows if not str(row.get("text") or "").strip() or row.get("label") in (None, "")
    ]
    if missing:
        raise DataError(
            f"{len(missing)} rows of {place} have no text or no label, the first being line {missing[0]}",
            expected=EXPECTED,
            todo="drop these rows, or write what is missing",
        )
    found = [str(row["text"]) for _, row in rows], [str(row["label"]) for _, row in rows]
    return corpus_of(*found, length=LENGTH, budget="words:2")


def _rows(place: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The rows with the numbers of their lines."""
    try:
        if place.suffix == ".jsonl":
            for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), 1):
                if line.strip():
                    row = json.loads(line)
                    yield number, row if isinstance(row, dict) else {}
            return
        with place.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, dict(row)
    except (json.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {place}: {error}", expected=EXPECTED) from error
