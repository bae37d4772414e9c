"""Labeled texts from the user's own file or folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import read_csv
from variate.datasets.parts.given import existing
from variate.datasets.parts.hugging_face import cells, tables
from variate.datasets.parts.loaded import Loaded, read_once
from variate.datasets.parts.neighbors import COOCCURRENCE
from variate.datasets.parts.text import corpus_of, is_spaced, words_of
from variate.datasets.splits import SplitName, check_split
from variate.errors import DataError
from variate.files.reading import reading
from variate.registry import dataset

LENGTH = 64
TEXT, LABEL = ("text", "sentence"), ("label", "labels")  # accepted column names, in order of preference
EXPECTED = (
    "a .csv or .parquet file with columns text and label, a .jsonl file of objects with these keys, "
    "or a folder of a Hugging Face dataset"
)


class LabeledText(NamedTuple):
    """A text, its position for error messages, and its label; empty strings for missing values."""

    where: str
    text: str
    label: str


@dataset(modality="text", budget="words:2", cite="the user's own file")
def texts(
    split: str, *, folder: Path | None = None, length: int = LENGTH, neighbors: str = COOCCURRENCE
) -> tuple[Tensor, Tensor]:
    """Your own texts and labels, from a file or the folder of a Hugging Face dataset; the first 64 words of each.

    A ``.csv``, ``.jsonl`` or ``.parquet`` file has the columns text (or sentence) and label (or labels). A folder is
    one that ``save_to_disk`` wrote, or a dataset repository with its files; folders and ``.parquet`` files need
    ``pip install 'variate[datasets]'``. Nothing is downloaded and no code of a repository runs. Named classes keep
    their names. Words are runs of letters of any alphabet; in Chinese, Japanese, Thai, Lao, Khmer and Burmese every
    character is a word, unless the file has spaces between words.

    A file, or a folder with a single split, is split by one fixed permutation: 80 % train, 10 % validation, 10 % test.
    Declared splits named train, validation and test are kept; others are ignored. A split whose labels are all -1 or
    missing, such as the test splits of GLUE, counts as absent. Without a test split, the declared validation split
    becomes the test split; without a validation split, 10 % of the training split are taken for it. Anything tuned on
    that validation split before has then been tuned on the test split.

    Args:
        split: ``train``, ``validation`` or ``test``; each is shuffled by one fixed permutation.
        folder: the file or folder.
        length: number of words of an input, T; longer texts are truncated.
        neighbors: words that may replace a word: ``cooccurrence`` (words used in similar contexts), ``wordnet``
            (synonyms), or a .json file that lists them for every word.

    Returns:
        Inputs, shape (N, T, 1), word indices divided by 65,536, and labels, shape (N,), in the order of their names.

    Raises:
        DataError: if nothing is there, a row lacks its text or label, or a label is not in the training split.
        UsageError: if ``datasets`` is needed and not installed.
    """
    name = check_split(split)
    return _corpus(_existing(folder), length, neighbors).splits[name]


def about(folder: Path | None = None, *, length: int = LENGTH, neighbors: str = COOCCURRENCE) -> About:
    """The facts of the data set, including its vocabulary. Raises ``DataError``."""
    return _corpus(_existing(folder), length, neighbors).about


def _existing(folder: Path | None) -> Path:
    """The folder or file, if it exists. Raises ``DataError``."""
    return existing(folder, "no file or folder was given", expected=EXPECTED, todo="--data-folder FILE.csv")


@read_once
def _corpus(source: Path, length: int, neighbors: str) -> Loaded:
    is_table = source.is_dir() or source.suffix == ".parquet"
    splits = _usable_splits(_read_tables(source) if is_table else {"": _read_file(source)}, source)
    rows = [row for part in splits.values() for row in part]
    missing = [row.where for row in rows if not row.text.strip() or not row.label]
    if missing:
        raise DataError(
            f"{len(missing)} rows of {source} lack a text or a label; the first is {missing[0]}",
            expected=EXPECTED,
            todo="drop these rows or fill in the missing values",
        )
    sizes = {name: len(part) for name, part in splits.items()} if len(splits) > 1 else None
    texts = [row.text for row in rows]
    tokenize = partial(words_of, by_character=not is_spaced(texts))
    return corpus_of(
        texts,
        [row.label for row in rows],
        length=length,
        budget="words:2",
        sizes=sizes,
        replaced=neighbors,
        tokenize=tokenize,
        source=source,
    )


def _usable_splits(splits: Mapping[str, Sequence[LabeledText]], source: Path) -> dict[str, Sequence[LabeledText]]:
    """The labeled splits by their use; a single one is returned as it is, to be split later."""
    labeled = {name: rows for name, rows in splits.items() if any(row.label for row in rows)}
    if len(labeled) < 2:
        return labeled or dict(splits)
    used = {name: labeled[name] for name in get_args(SplitName) if name in labeled}
    if "train" not in used:
        raise DataError(
            f"{source} has the splits {', '.join(labeled)}",
            expected="a split named train, or a single split with labels",
        )
    if "test" not in used and "validation" in used:
        used["test"] = used.pop("validation")
    return used


def _read_tables(source: Path) -> dict[str, list[LabeledText]]:
    splits = {}
    for split, table in tables(source).items():
        names = [_first_present(choices, table.column_names, source) for choices in (TEXT, LABEL)]
        text, label = (cells(table, name) for name in names)
        suffix = f" of split {split}" if split else ""
        positions = (f"row {i}{suffix}" for i in range(len(text)))
        splits[split] = [LabeledText(*row) for row in zip(positions, text, label, strict=True)]
    return splits


def _read_file(path: Path) -> list[LabeledText]:
    if path.suffix != ".jsonl":
        sheet = read_csv(path)
        text, label = (sheet.column(_first_present(choices, sheet.names, path)) for choices in (TEXT, LABEL))
        return [LabeledText(f"line {line}", *row) for line, *row in zip(sheet.lines, text, label, strict=True)]
    records = list(_objects(path))
    names = list(dict.fromkeys(name for _, record in records for name in record))
    columns = [_first_present(choices, names, path) for choices in (TEXT, LABEL)]
    return [LabeledText(f"line {line}", *(_as_text(record.get(name)) for name in columns)) for line, record in records]


def _first_present(choices: Sequence[str], names: Sequence[str], source: Path) -> str:
    """The first of some column names that the file has. Raises ``DataError``."""
    for name in choices:
        if name in names:
            return name
    raise DataError(
        f"{source} has no column {' or '.join(choices)}",
        findings=[f"its columns are {', '.join(names) or 'none'}"],
        todo=f"rename the right column to {choices[0]}",
    )


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The objects of a JSON Lines file with their line numbers."""
    with reading(path, DataError, expected=EXPECTED):
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # not at U+2028
    for line_number, line in enumerate(lines, 1):
        if line.strip():
            with reading(f"line {line_number} of {path}", DataError, expected=EXPECTED, todo="correct the line"):
                record = json.loads(line)
            yield line_number, record if isinstance(record, dict) else {}
