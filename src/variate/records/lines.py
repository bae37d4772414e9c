"""The lines of a file of records: which are complete, of which version, and what each one says."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from variate.errors import RecordError
from variate.files.reading import reading, ungzipped
from variate.files.wording import sentence
from variate.records.consistency import check_line
from variate.records.schema import FORMAT, READ, Header, Record

TODO = "pass a records.jsonl that `variate attack` or `variate study` wrote"


def complete_lines(path: Path) -> bytes:
    """The complete lines of a file; an incomplete last line is still being written, or left by a crash."""
    with reading(path, RecordError):
        data = path.read_bytes()
    if path.suffix == ".gz":
        data = ungzipped(data, path, RecordError)
    return data[: data.rfind(b"\n") + 1]


def check_version(line: bytes, file: Path) -> None:
    """Raise ``RecordError`` unless a file's first line is the header of this version."""
    try:
        version: int | None = Header.model_validate_json(line).version
    except ValidationError:
        version = 1 if b'"kind"' in line else None  # the first version had no header
    if version is None:
        raise RecordError(
            f"{file} is not a file of Variate records",
            todo="pass a records.jsonl that `variate attack` or a study wrote",
        )
    if version < FORMAT:
        raise RecordError(
            f"{file} was written by an older Variate: it has format {version}, this version reads format {FORMAT}",
            todo=f"python -m variate.records.convert {file}  (the numbers stay the same)",
        )
    if version > FORMAT:
        raise RecordError(
            f"{file} was written by a newer Variate: it has format {version}, this version reads format {FORMAT}",
            todo="pip install --upgrade variate",
        )


def parsed(line: bytes, file: Path, number: int) -> Record:
    """The record of one line. Raises ``RecordError`` for a line that is none."""
    try:
        with reading(f"line {number} of {file}", RecordError, todo=TODO):
            record = READ.validate_json(line)
            check_line(record, f"line {number} of {file}")
            return record
    except RecordError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        first = error.__cause__.errors()[0]
        raise RecordError(
            f"line {number} of {file} is not a record of this version of Variate",
            findings=[sentence(".".join(map(str, first["loc"])) or "line", first)],
            todo=TODO,
        ) from error.__cause__


@contextmanager
def garbage_collection_off() -> Iterator[None]:
    """Pause the search for cycles, which dominates the time when many objects are made and all are kept."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
