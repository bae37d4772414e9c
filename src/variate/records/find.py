"""Find the file of records that a path means."""

from __future__ import annotations

from pathlib import Path

from variate.errors import RecordError
from variate.records.file import RECORDS


def find_records(path: Path) -> Path:
    """The records file at a path: the file itself, or that in a folder. Raises ``RecordError``."""
    choices = [path] if path.is_file() else [path / RECORDS, path / f"{RECORDS}.gz"]
    for choice in choices:
        if choice.is_file():
            return choice
    raise RecordError(
        f"there are no records at {path}",
        expected="a folder with records.jsonl, or a records file",
        todo="variate attack RUN --attack pgd writes them",
    )
