"""Examples that are in the training split and in another split too: the accuracy on them is not that on new inputs."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping

from torch import Tensor


def repeated(train: Tensor, other: Tensor) -> int:
    """How many inputs of another split are equal to one of the training split; shapes (N, ...) and (M, ...)."""
    known = set(map(_digest, train))
    return sum(_digest(row) in known for row in other)


def warn_of_repeats(source: object, train: Tensor, others: Mapping[str, Tensor]) -> None:
    """Warn of inputs of the other splits, by name, that are in the training split too."""
    counts = {split: repeated(train, x) for split, x in others.items()}
    shown = [f"{count:,} of {len(others[split]):,} in {split}" for split, count in counts.items() if count]
    if shown:
        warnings.warn(
            f"examples of {source} that are also in its training split: {', '.join(shown)}. "
            "Rates on them are not rates on new inputs; remove duplicates before the data is split.",
            stacklevel=2,
        )


def _digest(row: Tensor) -> bytes:
    return hashlib.blake2b(row.detach().cpu().contiguous().numpy().tobytes(), digest_size=16).digest()
