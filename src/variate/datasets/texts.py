"""Labelled texts from a file or folder of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import read_csv
from variate.datasets.parts.hugging_face import cells, tables
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.text import corpus_of
from variate.datasets.splits import SplitName, check_split
from variate.errors import DataError
from variate.registry import dataset

LENGTH = 64
TEXT, LABEL = ("text", "sentence"), ("label", "labels")  # what a column may be called, the first that is there
EXPECTED = (
    "a .csv or .parquet file with the columns text and label, a .jsonl file of objects with these names, "
    "or a folder of Hugging Face's datasets"
)


class Row(NamedTuple):
    """One text, where it stands, and its label; nothing where there is none."""

    where: str
    text: str
    label: str


@dataset(modality="text", budget="words:2", cite="the user's own file")
def texts(
    split: str, *, folder: Path | None = None, length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> tuple[Tensor, Tensor]:
    """Texts and labels of one's own, from a file or a folder of Hugging Face's datasets; the first 64 words of each.

    A ``.csv``, ``.jsonl`` or ``.parquet`` file has the columns text (or sentence) and label (or labels). A folder is
    what ``save_to_disk`` wrote, or a dataset repository with its files; it needs ``pip install 'variate[datasets]'``,
    as ``.parquet`` does. Nothing is fetched, and no code of a repository runs. Classes with names go by these.

    A file, and a folder with one split, is cut: 80 % are for training, a tenth for validation and a tenth for the test,
    by one fixed permutation. Where train, validation and test are declared they are kept, and other splits are not
    used. A split whose labels are all -1 or missing counts as absent, such as the tests of GLUE. Without a test, the
    declared validation split is the test; without a validation split, a tenth of the training split is taken for it.
    What was tuned on that split before has then been tuned on the test.

    Args:
        split: ``train``, ``validation`` or ``test``; each in an order of one fixed permutation.
        folder: the file or folder.
        length: T, words of an input; what is longer loses its end.
        neighbors: what may replace a word: ``cooccurrence`` (words that stand among the same words), ``wordnet``
            (synonyms), or a .json file that lists it for every word.

    Returns:
        Inputs, shape (N, T, 1), numbers of words divided by 65,536, and labels, shape (N,), numbered by their names.

    Raises:
        DataError: where there is nothing, a row has no text or no label, or a label is never seen in training.
        UsageError: where ``datasets`` is needed and not installed.
    """
    name = check_split(split)
    return _corpus(_place(folder), length, neighbors).splits[name]


def about(folder: Path | None = None, *, length: int = LENGTH, neighbors: str = COOCCURRENCE) -> About:
    """The facts of the data set, its vocabulary among them. Raises ``DataError``."""
    return _corpus(_place(folder), length, neighbors).about


def _place(folder: Path | None) -> Path:
    if folder is None or not folder.exists():
        found = "no file or folder is named" if folder is None else f"there is nothing at {folder}"
        raise DataError(found, expected=EXPECTED, todo="--data-folder FILE.csv")
    return folder


@read_once
def _corpus(place: Path, length: int, replaced: str) -> Loaded:
    table = place.is_dir() or place.suffix == ".parquet"
    splits = _used(_tabled(place) if table else {"": _filed(place)}, place)
    rows = [row for part in splits.values() for row in part]
    missing = [row.where for row in rows if not row.text.strip() or not row.label]
    if missing:
        raise DataError(
            f"{len(missing)} rows of {place} have no text or no label, the first being {missing[0]}",
            expected=EXPECTED,
            todo="drop these rows, or write what is missing",
        )
    sizes = {name: len(part) for name, part in splits.items()} if len(splits) > 1 else None
    found = [row.text for row in rows], [row.label for row in rows]
    return corpus_of(*found, length=length, budget="words:2", sizes=sizes, replaced=replaced)


def _used(splits: Mapping[str, Sequence[Row]], place: Path) -> dict[str, Sequence[Row]]:
    """The splits by what they are used for; one alone is still to be cut."""
    labelled = {name: rows for name, rows in splits.items() if any(row.label for row in rows)}
    if len(labelled) < 2:
        return labelled or dict(splits)
    known = {name: labelled[name] for name in get_args(SplitName) if name in labelled}
    if "train" not in known:
        raise DataError(
            f"{place} has the splits {', '.join(labelled)}", expected="train among them, or a single one with labels"
        )
    if "test" not in known and "validation" in known:
        known["test"] = known.pop("validation")
    return known


def _tabled(place: Path) -> dict[str, list[Row]]:
    found = {}
    for split, table in tables(place).items():
        names = [_chosen(wanted, table.column_names, place) for wanted in (TEXT, LABEL)]
        text, label = (cells(table, name) for name in names)
        of = f" of the split {split}" if split else ""
        wheres = (f"number {number}{of}" for number in range(len(text)))
        found[split] = [Row(*row) for row in zip(wheres, text, label, strict=True)]
    return found


def _filed(place: Path) -> list[Row]:
    if place.suffix != ".jsonl":
        sheet = read_csv(place)
        text, label = (sheet.column(_chosen(wanted, sheet.names, place)) for wanted in (TEXT, LABEL))
        return [Row(f"line {number}", *row) for number, *row in zip(sheet.lines, text, label, strict=True)]
    lines = list(_objects(place))
    names = list(dict.fromkeys(name for _, one in lines for name in one))
    chosen = [_chosen(wanted, names, place) for wanted in (TEXT, LABEL)]
    return [Row(f"line {number}", *(_said(one.get(name)) for name in chosen)) for number, one in lines]


def _chosen(wanted: Sequence[str], names: Sequence[str], place: Path) -> str:
    """The column that holds what is wanted."""
    for name in wanted:
        if name in names:
            return name
    raise DataError(
        f"{place} has no column {' or '.join(wanted)}",
        findings=[f"its columns are {', '.join(names) or 'none'}"],
        todo=f"rename the right one to {wanted[0]}",
    )


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _objects(place: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a file of lines, with the numbers of their lines."""
    number = 0
    try:
        for number, line in enumerate(place.read_text(encoding="utf-8-sig").split("\n"), 1):  # not at U+2028
            if line.strip():
                row = json.loads(line)
                yield number, row if isinstance(row, dict) else {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read line {number} of {place}: {error}", expected=EXPECTED) from error
