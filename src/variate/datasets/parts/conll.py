"""Words and their labels from files of columns: CoNLL-2003 and CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from variate.errors import DataError, UsageError
from variate.files.reading import reading

SUFFIXES = (".conll", ".conllu", ".bio", ".iob", ".iob2")
EXPECTED = (
    "lines of columns with a word and its label, an empty line after every sentence: CoNLL-2003 (the word first, the "
    "label last) or CoNLL-U (ten columns)"
)
FIELDS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")  # of CoNLL-U
NUMBER = re.compile(r"\d+")
PART = re.compile(r"\d+-\d+|\d+\.\d+")  # ids of several words written as one, and of words that are not written


class Word(NamedTuple):
    """A word and its label; an empty label does not count."""

    text: str
    label: str


Sentence = Sequence[Word]


def sentences_of(path: Path, column: str = "auto") -> Iterator[Sentence]:
    """The sentences of a file.

    Args:
        path: the file.
        column: the column of the labels, as ``conll`` takes it.

    Raises:
        DataError: for a line that cannot be read.
        UsageError: for a column that is not valid.
    """
    with reading(path, DataError, expected=EXPECTED):
        lines = path.read_text(encoding="utf-8-sig").replace("\r\n", "\n").split("\n")  # not at U+2028
    is_universal = _is_universal(lines)
    place = _place(column, is_universal)
    sentence: list[Word] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
        elif is_universal:
            if not line.startswith("#"):
                sentence += _universal_word(line.split("\t"), place, f"line {number} of {path}")
        elif not line.startswith("-DOCSTART-"):
            cells = line.split()
            _check_columns(cells, place, 2, f"line {number} of {path}")
            sentence.append(Word(cells[0], _label(cells[place])))
    if sentence:
        yield sentence


def _is_universal(lines: list[str]) -> bool:
    """Whether the first word of a file has the ten columns of CoNLL-U, the first a number."""
    first = next((line.split("\t") for line in lines if line.strip() and not line.startswith("#")), [])
    return len(first) == len(FIELDS) and bool(NUMBER.match(first[0]))


def _place(column: str, is_universal: bool) -> int:
    """The index of a column. Raises ``UsageError``."""
    if column == "auto":
        return FIELDS.index("upos") if is_universal else -1
    if is_universal and column.lower() in FIELDS:
        return FIELDS.index(column.lower())
    if re.fullmatch(r"-?\d+", column) and int(column):
        return int(column) - (int(column) > 0)
    raise UsageError(
        f"there is no column {column!r}",
        expected="a number from 1, or -1 for the last" + (f", or one of {', '.join(FIELDS)}" if is_universal else ""),
    )


def _universal_word(cells: list[str], place: int, where: str) -> list[Word]:
    """The word of a line of CoNLL-U; none for a range or an empty node. Raises ``DataError``."""
    if PART.fullmatch(cells[0]):
        return []
    _check_columns(cells, place, len(FIELDS), where)
    if not NUMBER.fullmatch(cells[0]):
        raise DataError(
            f"{where} begins with {cells[0]!r}",
            expected="the number of the word, as everywhere in CoNLL-U",
            todo="correct the line; comments begin with #",
        )
    return [Word(cells[1], _label(cells[place]))]


def _check_columns(cells: list[str], place: int, least: int, where: str) -> None:
    """Check that a line has its columns. Raises ``DataError``."""
    needed = max(least, place + 1, -place)
    if len(cells) < needed:
        raise DataError(
            f"{where} has {len(cells)} {'column' if len(cells) == 1 else 'columns'}, and {needed} are needed",
            findings=[repr(" ".join(cells)[:60])],
            expected=EXPECTED,
            todo="correct the line, or say which column holds the labels: conll(column=2)",
        )


def _label(cell: str) -> str:
    return "" if cell == "_" else cell
