"""Fixed, documented splits."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError

SplitName = Literal["train", "validation", "test"]


def check_split(split: str) -> SplitName:
    """The name of a split. Raises ``UsageError``."""
    if split not in get_args(SplitName):
        raise UsageError(f"there is no split named {split!r}", expected="train, validation or test")
    return split  # type: ignore[return-value]


def permutation(count: int) -> NDArray[np.int64]:
    """The one permutation that every split of ``count`` examples is cut from: numpy's PCG64 with seed 0."""
    return np.random.Generator(np.random.PCG64(0)).permutation(count)
