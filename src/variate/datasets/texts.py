"""Labelled texts from a file of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from variate.datasets._csv import read_csv
from variate.datasets._loaded import Loaded, read_once
from variate.datasets._text import corpus_of
from variate.errors import DataError
from variate.facts import About
from variate.registry import dataset
from variate.splits import check_split

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
    name = check_split(split)
    return _corpus(_place(folder)).splits[name]


def about(folder: Path | None = None) -> About:
    """The facts of the data set, its vocabulary among them. Raises ``DataError``."""
    return _corpus(_place(folder)).about


def _place(folder: Path | None) -> Path:
    if folder is None or not folder.is_file():
        found = "no file is named" if folder is None else f"there is no file {folder}"
        raise DataError(found, expected=EXPECTED, todo="--data-folder FILE.csv")
    return folder


@read_once
def _corpus(place: Path) -> Loaded:
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
    if place.suffix != ".jsonl":
        sheet = read_csv(place)
        for number, text, label in zip(sheet.lines, sheet.column("text"), sheet.column("label"), strict=True):
            yield number, {"text": text, "label": label}
        return
    number = 0
    try:
        for number, line in enumerate(place.read_text(encoding="utf-8-sig").split("\n"), 1):  # not at U+2028
            if line.strip():
                row = json.loads(line)
                yield number, row if isinstance(row, dict) else {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read line {number} of {place}: {error}", expected=EXPECTED) from error
