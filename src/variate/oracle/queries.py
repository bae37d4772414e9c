"""What was asked of a network, example by example."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]


class Queries:
    """Counts for the examples of one batch.

    Args:
        examples: B, how many there are; it grows with the examples that are asked about.

    Attributes:
        points: inputs that the attacker asked about, shape (B,); each is answered over several draws.
        forwards: forward passes, shape (B,).
        backwards: backward passes, shape (B,).
        draws: different draws that answered, shape (B,).
    """

    def __init__(self, examples: int) -> None:
        self.points, self.forwards, self.backwards, self.draws = (np.zeros(examples, np.int64) for _ in range(4))
        self._seen: dict[int, set[int]] = {}  # of keys that may come again: by key, the examples that met it

    def count(self, rows: Tensor, keys: list[int], *, forwards: int, backwards: int, again: bool) -> None:
        """Add one query.

        Args:
            rows: the example that each asked input belongs to.
            keys: the draws that answered.
            forwards: passes of every input under every key.
            backwards: the same for backward passes.
            again: whether these keys may answer other queries too, and count once.
        """
        asked = np.bincount(rows.cpu().numpy(), minlength=len(self.points)).astype(np.int64)
        self._reach(len(asked))
        self.points += asked
        self.forwards += forwards * len(keys) * asked
        self.backwards += backwards * len(keys) * asked
        if not again:
            self.draws += len(keys) * (asked > 0)
            return
        for key in keys:
            known = self._seen.setdefault(key, set())
            fresh = set(np.flatnonzero(asked).tolist()) - known
            known |= fresh
            self.draws[list(fresh)] += 1

    def _reach(self, examples: int) -> None:
        """Make room for examples that were not known of."""
        for name in ("points", "forwards", "backwards", "draws"):
            counts = getattr(self, name)
            setattr(self, name, np.pad(counts, (0, max(0, examples - len(counts)))))

    def merge(self, others: Queries, rows: Tensor) -> None:
        """Add what was asked about the examples ``rows`` of this batch, as if by draws of their own."""
        index = rows.cpu().numpy()
        for name in ("points", "forwards", "backwards", "draws"):
            getattr(self, name)[index] += getattr(others, name)
