"""One way in and out for files: exceptions of every library become ours, sizes are checked before memory is taken."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from variate.errors import UsageError, VariateError

LIMIT = 2**30  # bytes that any archive may unpack to
RATIO = 200  # larger archives may unpack to so many times their own size
SHOWN = 200  # characters of another library's message


@contextmanager
def reading(
    path: object, error: type[VariateError], *, expected: str | None = None, todo: str | None = None
) -> Iterator[None]:
    """Turn every exception of a block that reads ``path`` into ``error``; our own exceptions pass unchanged.

    Args:
        path: the file, as the message names it; may include the place within the file.
        error: class of the exception to raise.
        expected: what would have been accepted.
        todo: the next step.
    """
    try:
        yield
    except VariateError:
        raise
    except (FileNotFoundError, NotADirectoryError) as problem:
        raise error(f"there is no file {path}", expected=expected, todo=todo) from problem
    except Exception as problem:  # damaged files raise almost any exception, by library and by place of the damage
        raise error(f"cannot read {path}: {told(problem)}", expected=expected, todo=todo) from problem


def told(problem: BaseException) -> str:
    """The message of another library's exception in one line; its kind if it has no message."""
    text = (problem.strerror if isinstance(problem, OSError) else None) or " ".join(str(problem).split())
    kind = type(problem).__name__
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return short if short and isinstance(problem, OSError) else f"{kind}: {short}" if short else kind


def ungzipped(content: bytes, path: object, error: type[VariateError]) -> bytes:
    """Unpack a gzip file of limited size. Raises ``error``."""
    most = max(LIMIT, RATIO * len(content))
    with reading(path, error), gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        unpacked = file.read(most + 1)
    _check_unpacked(len(unpacked), most, path, error)
    return unpacked


@contextmanager
def unzipping(path: Path, error: type[VariateError], *, todo: str | None = None) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose members unpack to a limited size. Raises ``error``, also for what the block reads."""
    with reading(path, error, todo=todo), zipfile.ZipFile(path) as archive:
        most = max(LIMIT, RATIO * path.stat().st_size)
        _check_unpacked(sum(member.file_size for member in archive.infolist()), most, path, error)
        yield archive


def extracted(archive: tarfile.TarFile, member: tarfile.TarInfo, error: type[VariateError]) -> bytes:
    """The content of a file of limited size in a tar archive. Raises ``error``."""
    _check_unpacked(member.size, LIMIT, member.name, error)
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _check_unpacked(size: int, most: int, path: object, error: type[VariateError]) -> None:
    if size > most:
        raise error(
            f"{path} unpacks to more than {most / 2**30:.3g} GiB, {RATIO} times its own size",
            todo="if it is not damaged, unpack it yourself and pass the unpacked file",
        )


def replace(path: Path, write: Callable[[Path], Any], error: type[VariateError], *, todo: str) -> None:
    """Write a temporary file, then move it into place: whatever happens, the old file or the new one is whole.

    Args:
        path: the file; its folder is created.
        write: called with the path of the temporary file.
        error: raised, with ``todo``, if the file cannot be written.
        todo: the next step.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except OSError as problem:
        raise error(
            f"cannot write {path}: {problem.strerror or problem}", todo=f"{todo}; existing files are unchanged"
        ) from problem
    finally:
        partial.unlink(missing_ok=True)


def replace_text(path: Path, text: str, error: type[VariateError], *, todo: str) -> None:
    """Write a text file as UTF-8, atomically. Raises ``error``."""
    replace(path, lambda partial: partial.write_text(text, encoding="utf-8"), error, todo=todo)


def check_folder(path: Path) -> None:
    """Check that a folder exists or can be made, before any work is done for it. Raises ``UsageError``."""
    existing = next((part for part in (path, *path.parents) if part.exists()), None)
    if existing is not None and not existing.is_dir():
        raise UsageError(f"{existing} is a file, not a folder", todo="choose another --out")
    if existing is not None and not os.access(existing, os.W_OK | os.X_OK):
        raise UsageError(f"{existing} cannot be written to", todo="choose another --out")
