"""Examples that are in the training split and in another split too: the accuracy on them is not that on new inputs."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Hashable, Mapping, Sequence

from torch import Tensor

from variate.errors import DataError

TODO = "remove duplicates before the data is split"


def digests(x: Tensor) -> list[bytes]:
    """A hash of each input, shape (N, ...)."""
    rows = x.detach().cpu().contiguous()
    return [hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in rows]


def warn_of_repeats(
    source: object, splits: Mapping[str, Sequence[Hashable]], *, refused_from: float | None = None
) -> None:
    """Warn of examples of the other splits that are in the training split too.

    Args:
        source: the data, as the message names it.
        splits: examples, or a hash of each, by split.
        refused_from: share of such examples in the test split above which the data is refused.

    Raises:
        DataError: if the share is above ``refused_from``.
    """
    known = set(splits["train"])
    others = {split: rows for split, rows in splits.items() if split != "train"}
    counts = {split: sum(row in known for row in rows) for split, rows in others.items()}
    if not any(counts.values()):
        return
    found = ", ".join(f"{count:,} of {len(others[split]):,} in {split}" for split, count in counts.items() if count)
    if refused_from is not None and counts.get("test", 0) > refused_from * len(others.get("test", ())):
        raise DataError(
            f"most test examples of {source} are also in its training split",
            findings=[found],
            expected="test examples that training does not see",
            todo=TODO,
        )
    warnings.warn(
        f"examples of {source} that are also in its training split: {found}. Rates on them are not rates on new "
        f"inputs: {TODO}.",
        stacklevel=2,
    )
