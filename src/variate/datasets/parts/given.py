"""The file or folder that is given to a data set."""

from __future__ import annotations

from pathlib import Path

from variate.errors import DataError


def existing(folder: Path | None, missing: str, *, expected: str, todo: str) -> Path:
    """The file or folder, if it exists.

    Args:
        folder: what was given; None for nothing.
        missing: what is wrong if nothing was given.
        expected: what the data set reads.
        todo: how to get it.

    Raises:
        DataError: if there is none.
    """
    if folder is None or not folder.exists():
        problem = missing if folder is None else f"there is nothing at {folder}"
        raise DataError(problem, expected=expected, todo=todo)
    return folder
