"""Text files of rows and columns, as they are: names, cells, and the line that each row begins in."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from variate.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
MISSING = {"", "na", "n/a", "nan", "null", "?"}  # cells that hold no value, in any case of letters
SHOWN = 5  # findings of one kind


@dataclass(frozen=True)
class Sheet:
    """The rows of one file.

    Attributes:
        path: of the file.
        names: of the columns.
        rows: the cells of every row, without the blanks around them.
        lines: the number in the file of the line in which each row ends.
    """

    path: Path
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def column(self, name: str) -> list[str]:
        """The cells of one column. Raises ``DataError`` where there is none of that name."""
        self.require([name])
        place = self.names.index(name)
        return [row[place] for row in self.rows]

    def require(self, names: Sequence[str]) -> None:
        """Whether there are columns of these names. Raises ``DataError``."""
        absent = [name for name in names if name not in self.names]
        if absent:
            raise DataError(
                f"{self.path} has no column {' and no column '.join(map(repr, absent))}",
                expected=f"one of {', '.join(self.names)}",
            )

    def refuse_missing(self, names: Sequence[str]) -> None:
        """Whether every cell of these columns holds a value. Raises ``DataError`` with the columns and the counts."""
        findings = []
        for name in names:
            lines = [line for cell, line in zip(self.column(name), self.lines, strict=True) if is_missing(cell)]
            if lines:
                findings.append(f"{name}: {len(lines)} of {len(self.rows)} rows, first in line {lines[0]}")
        if findings:
            raise DataError(
                f"{self.path} has missing values",
                findings=findings,
                expected="a value in every cell; empty, NA, N/A, NaN, null and ? are none",
                todo="drop the rows, leave the columns out (drop in the declaration), or fill the values in",
            )


def is_missing(cell: str) -> bool:
    """Whether a cell holds no value."""
    return cell.lower() in MISSING


def read_csv(path: Path, delimiter: str | None = None) -> Sheet:
    """The rows of a file with a header, plain or compressed (``.gz``), in UTF-8.

    Args:
        path: of the file.
        delimiter: between cells; without one, that of comma, semicolon, tab and bar that the header has most of.

    Raises:
        DataError: for a file that is not there, is not text, has no rows, names a column twice, or has rows that are
            longer or shorter than its header.
    """
    text = _text(path)
    header = text.partition("\n")[0]
    between = delimiter or max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True)
    try:
        read = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"line {reader.line_num} of {path} cannot be read: {error}") from error
    if len(read) < 2:
        raise DataError(f"{path} has no rows", expected="a header with the columns' names, and rows")
    names = tuple(read[0][1])
    findings = [*_about_names(names), *_about_lengths(read[1:], len(names))]
    if findings:
        raise DataError(f"{path} is not a table", findings=findings)
    return Sheet(path, names, [row for _, row in read[1:]], [line for line, _ in read[1:]])


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise DataError(f"there is no file {path}", todo="give its path as --data-folder") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8: {error}", todo="write it in UTF-8") from error


def _about_names(names: Sequence[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if not name:
            yield "a column has no name"
        elif count > 1:
            yield f"{count} columns are named {name!r}"


def _about_lengths(rows: Sequence[tuple[int, list[str]]], columns: int) -> Iterator[str]:
    odd = [(line, len(row)) for line, row in rows if len(row) != columns]
    for line, length in odd[:SHOWN]:
        yield f"line {line} has {length} cells, and the header {columns}"
    if len(odd) > SHOWN:
        yield f"so have {len(odd) - SHOWN} others"
