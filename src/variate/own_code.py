"""Errors that the user's own code raises, shown as the line of his that raised them."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from variate.errors import UsageError, VariateError

OURS = str(Path(__file__).parent)
INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def lines_of(error: BaseException) -> list[str]:
    """The last line of the user's own code in a traceback, with its file; no line if there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    foreign = [frame for frame in frames if not frame.filename.startswith(OURS)]
    own = [frame for frame in foreign if not frame.filename.startswith(INSTALLED)] or foreign
    return [f"{frame.filename}:{frame.lineno}, in {frame.name}: {frame.line}" for frame in own[-1:]]


@contextmanager
def running(path: str) -> Iterator[None]:
    """Context in which the user's code runs that ``path`` names. Raises ``UsageError`` for whatever it raises."""
    try:
        yield
    except VariateError:
        raise
    except Exception as error:
        raise UsageError(f"{path} failed: {type(error).__name__}: {error}", findings=lines_of(error)) from error
