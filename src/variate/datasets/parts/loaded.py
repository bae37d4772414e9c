"""Data sets whose facts are only known once their files are read: both are cached until a file changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from variate.datasets.info import About

CACHED = 4  # data sets per loader
T = TypeVar("T")


@dataclass(frozen=True)
class Loaded:
    """A data set that was read.

    Attributes:
        about: facts of the data set.
        splits: inputs, shape (N, ...), and labels, shape (N, ...), by split.
        is_cut: whether the examples came without splits, and were cut into them.
    """

    about: About
    splits: dict[str, tuple[Tensor, Tensor]]
    is_cut: bool = False

    def whole(self) -> tuple[Tensor, Tensor]:
        """All examples if they came without splits, otherwise those of the test split."""
        if not self.is_cut:
            return self.splits["test"]
        x, y = zip(*self.splits.values(), strict=True)
        return torch.cat(x), torch.cat(y)


def read_once(read: Callable[..., T], *, beside: Callable[[Path], Path] | None = None) -> Callable[..., T]:
    """Cache a reader; it reads again only if its source or its options change.

    The source counts as changed when it, a file in it, the file ``beside`` it, or a file named by an option is written.

    Args:
        read: called with the source, a file or folder, and the options.
        beside: from the source to another file that the reader reads.
    """

    @lru_cache(maxsize=CACHED)
    def cached(source: Path, _changed: object, *options: Hashable) -> T:
        return read(source, *options)

    @wraps(read)
    def reader(source: Path, *options: Hashable) -> T:
        option_files = [Path(path) for path in options if isinstance(path, str) and Path(path).is_file()]
        watched = (source, *([beside(source)] if beside else []), *option_files)
        return cached(source, tuple(_stamp(path) for path in watched), *options)

    return reader


def _stamp(root: Path) -> tuple[int, int, int]:
    """The latest modification time, total size and number of a file, or of a folder and everything in it.

    Two changes within one tick of the clock have one time; a link to nothing counts, though it has neither.
    """
    paths = [root, *root.rglob("*")]
    stats = [path.stat() for path in paths if path.exists()]
    return max((stat.st_mtime_ns for stat in stats), default=0), sum(stat.st_size for stat in stats), len(paths)
