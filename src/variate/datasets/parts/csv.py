"""CSV files as text: column names, cells, and the line number of each row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from variate.errors import DataError
from variate.files.reading import reading, ungzipped

DELIMITERS = (",", ";", "\t", "|")
MISSING = {"", "na", "n/a", "nan", "null", "?"}  # lower-case cells that count as missing
SHOWN = 5  # findings of one kind in an error
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
QUOTED = re.compile(r'"[^"]*"')
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.I)  # a first line that Excel reads
COUNTED = 3  # so many names that count from 0 or 1 are names and no values


@dataclass(frozen=True)
class Sheet:
    """The rows of one file.

    Attributes:
        path: path of the file.
        names: names of the columns.
        rows: cells of every row, stripped of surrounding blanks.
        lines: line number in the file at which each row ends.
        counts: what ``lines`` counts, for messages.
        todo: how to allow other values of a feature, for messages.
    """

    path: Path | str
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    counts: str = "line"
    todo: str = "declare the feature's range or categories in a TOML file of the same name, or drop the feature"

    def column(self, name: str) -> list[str]:
        """The cells of one column. Raises ``DataError`` if there is no such column."""
        self.require([name])
        index = self.names.index(name)
        return [row[index] for row in self.rows]

    def require(self, names: Sequence[str]) -> None:
        """Check that columns of these names exist. Raises ``DataError``."""
        absent = [name for name in names if name not in self.names]
        if absent:
            raise DataError(
                f"{self.path} has no column {' and no column '.join(map(repr, absent))}",
                expected=f"one of {', '.join(self.names)}",
            )

    def refuse_missing(self, names: Sequence[str]) -> None:
        """Check that these columns have no missing values. Raises ``DataError`` with the columns and the counts."""
        findings = []
        for name in names:
            lines = [line for cell, line in zip(self.column(name), self.lines, strict=True) if is_missing(cell)]
            if lines:
                findings.append(f"{name}: {len(lines)} of {len(self.rows)} rows, first in {self.counts} {lines[0]}")
        if findings:
            raise DataError(
                f"{self.path} has missing values",
                findings=findings,
                expected="a value in every cell; empty cells, NA, N/A, NaN, null and ? count as missing",
                todo="drop the rows, drop the columns (drop in the declaration), or fill in the values",
            )


def is_missing(cell: str) -> bool:
    """Whether a cell has no value."""
    return cell.lower() in MISSING


def read_csv(path: Path, delimiter: str | None = None) -> Sheet:
    """Read a file with a header, plain or compressed (``.gz``), in UTF-8.

    Args:
        path: path of the file.
        delimiter: delimiter of cells; by default whichever of comma, semicolon, tab and bar is most frequent in the
            header, outside of quotes. A first line ``sep=;``, as Excel reads it, names it too.

    Raises:
        DataError: if the file is missing, is not text, has no header, no rows, two columns of one name, or rows longer
            or shorter than its header.
    """
    text = _text(path)
    named = SEPARATOR_LINE.match(text)
    if named is not None:
        delimiter, text = delimiter or named[1], "\n" + text[named.end() :]  # so that lines keep their numbers
    header = QUOTED.sub("", text.lstrip("\n").partition("\n")[0])
    separator = delimiter or max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"line {reader.line_num} of {path} cannot be read: {error}", todo="is a quote missing in this line?"
        ) from error
    if len(lines) < 2:
        raise DataError(f"{path} has no rows", expected="a header of column names, then rows")
    names = tuple(lines[0][1])
    findings = [*_name_findings(names), *_length_findings(lines[1:], len(names))]
    if findings:
        raise DataError(f"{path} is not a table", findings=findings)
    return Sheet(path, names, [row for _, row in lines[1:]], [line for line, _ in lines[1:]])


def _text(path: Path) -> str:
    with reading(path, DataError, todo="give the path of the file as --data-folder"):
        content = path.read_bytes()
    if path.suffix == ".gz":
        content = ungzipped(content, path, DataError)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = "UTF-16" if wide else "WINDOWS-1252"
        raise DataError(
            f"{path} is not UTF-8 text: {error}",
            todo=f"save it as UTF-8; it may be {'UTF-16' if wide else 'Latin-1'}: iconv -f {encoding} -t UTF-8",
        ) from error


def _name_findings(names: Sequence[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if not name:
            yield (
                "the first column has no name: if it is the index of pandas, write the file with to_csv(index=False)"
                if count == 1 and not names[0]
                else "a column has no name"
            )
        elif count > 1:
            yield f"{count} columns are named {name!r}"
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    counting = [str(start + i) for start in (0, 1) for i in range(len(numbers))]
    if numbers and (len(numbers) < COUNTED or numbers not in (counting[: len(numbers)], counting[len(numbers) :])):
        yield (
            f"the header has numbers as names: {', '.join(numbers[:SHOWN])}; add a first line with the names of the "
            "columns, or rename them if these are their names"
        )


def _length_findings(rows: Sequence[tuple[int, list[str]]], columns: int) -> Iterator[str]:
    odd = [(line, len(row)) for line, row in rows if len(row) != columns]
    for line, length in odd[:SHOWN]:
        yield f"line {line} has {length} cells, but the header has {columns}"
    if len(odd) > SHOWN:
        yield f"and {len(odd) - SHOWN} more lines"
