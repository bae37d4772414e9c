"""Fixed splits, the same on every machine."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError

SplitName = Literal["train", "validation", "test"]
SHARES = (0.8, 0.1)  # of training and validation, for data that comes without splits


def check_split(split: str) -> SplitName:
    """Check the name of a split and return it. Raises ``UsageError``."""
    if split not in get_args(SplitName):
        raise UsageError(f"there is no split named {split!r}", expected="train, validation or test")
    return split  # type: ignore[return-value]


def cut_splits(count: int) -> dict[SplitName, NDArray[np.int64]]:
    """Indices of the examples of each split: 80 % train, 10 % validation, 10 % test of ``count``."""
    order = permutation(count)
    first, second = (round(share * count) for share in (SHARES[0], sum(SHARES)))
    return {"train": order[:first], "validation": order[first:second], "test": order[second:]}


def held_out(labels: NDArray[np.int64], share: float) -> NDArray[np.bool_]:
    """Which examples are held out: ``share`` of every class, at least one, by one fixed permutation.

    Args:
        labels: labels of the examples, shape (N,); the only example of a class is not held out.
        share: share of every class, in (0, 1).

    Returns:
        True for the examples that are held out, shape (N,).
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = max(1, round(share * len(rows))) if len(rows) > 1 else 0
        chosen[rows[permutation(len(rows))[:count]]] = True
    return chosen


def permutation(count: int) -> NDArray[np.int64]:
    """The one permutation that every split of ``count`` examples is cut from: numpy's PCG64 with seed 0."""
    return np.random.Generator(np.random.PCG64(0)).permutation(count)
