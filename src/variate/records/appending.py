"""Append to a file that several processes may want to write: one at a time, and whole lines or none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from variate.errors import RecordError

PATIENCE = 10.0  # seconds to wait for a process that holds the same file, or was just killed


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock a file against other writers; the system releases the lock of a process that dies.

    The lock is a hidden file beside it. Where none can be written, neither can the file, and there is nothing to lock.

    Raises:
        RecordError: if another process holds the file.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise RecordError(
            f"another evaluation writes to {path}", todo="wait for it, then run this one again, or use another file"
        ) from None
    except OSError:  # a folder that is read-only, or a path that is no folder
        yield
        return
    try:
        yield
    finally:
        lock.release()


def append(path: Path, data: bytes, *, first: bytes) -> int:
    """Append to a file; a write that fails midway (full disk) is undone, so the file stays intact.

    Args:
        path: the file; made with its folder if it does not exist.
        data: what to append.
        first: what an empty file begins with.

    Returns:
        The size of the file.

    Raises:
        OSError: if the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        start = file.tell()
        try:
            _write_all(file.fileno(), data if start else first + data)
        except BaseException:
            os.ftruncate(file.fileno(), start)
            raise
        return file.tell()


def cut_incomplete_line(path: Path) -> None:
    """Remove a last line that a crash left incomplete, before anything is appended."""
    if path.exists():
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
