"""Data sets whose facts are known only once their files are read: read together, and kept until a file changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path

from torch import Tensor

from variate.datasets.info import About

KEPT = 4  # data sets of one kind


@dataclass(frozen=True)
class Loaded:
    """A data set as it was read.

    Attributes:
        about: its facts.
        splits: inputs, shape (N, ...), and labels, shape (N,), by the name of the split.
    """

    about: About
    splits: dict[str, tuple[Tensor, Tensor]]


def read_once(read: Callable[..., Loaded], *, beside: Callable[[Path], Path] | None = None) -> Callable[..., Loaded]:
    """A reader that reads a place again only when it, a file in it, or the file ``beside`` it is written again.

    Or with other options: they come after the place; those that name a file are watched like it.
    """

    @lru_cache(maxsize=KEPT)
    def kept(place: Path, _changed: object, *options: Hashable) -> Loaded:
        return read(place, *options)

    @wraps(read)
    def reader(place: Path, *options: Hashable) -> Loaded:
        named = [Path(one) for one in options if isinstance(one, str) and Path(one).is_file()]
        watched = (place, *([beside(place)] if beside else []), *named)
        return kept(place, tuple(_stamp(one) for one in watched), *options)

    return reader


def _stamp(place: Path) -> tuple[int, int]:
    """The latest change of a file or folder and of all that is in it, and the bytes; nothing where nothing is."""
    told = [path.stat() for path in (place, *place.rglob("*")) if path.exists()]
    return max((one.st_mtime_ns for one in told), default=0), sum(one.st_size for one in told)
