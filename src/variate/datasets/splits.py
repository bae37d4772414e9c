"""Fixed, documented splits."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError

SplitName = Literal["train", "validation", "test"]
SHARES = (0.8, 0.1)  # of examples in one piece that are for training and validation


def check_split(split: str) -> SplitName:
    """The name of a split. Raises ``UsageError``."""
    if split not in get_args(SplitName):
        raise UsageError(f"there is no split named {split!r}", expected="train, validation or test")
    return split  # type: ignore[return-value]


def cut_splits(count: int) -> dict[SplitName, NDArray[np.int64]]:
    """Where the examples of each split are, of ``count`` that come in one piece: 80 %, 10 % and 10 %."""
    order = permutation(count)
    first, second = (round(share * count) for share in (SHARES[0], sum(SHARES)))
    return {"train": order[:first], "validation": order[first:second], "test": order[second:]}


def permutation(count: int) -> NDArray[np.int64]:
    """The one permutation that every split of ``count`` examples is cut from: numpy's PCG64 with seed 0."""
    return np.random.Generator(np.random.PCG64(0)).permutation(count)
