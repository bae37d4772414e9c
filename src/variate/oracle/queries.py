"""Counts of the queries to a network, per example."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Counts = NDArray[np.int64]
COUNTED = ("points", "forwards", "backwards", "draws", "flat", "rejected")


class Queries:
    """Counts for the examples of one batch.

    Args:
        examples: B, number of examples; it grows with the examples that are queried.

    Attributes:
        points: inputs that the attacker queried, shape (B,); each query may average over several draws.
        forwards: forward passes, shape (B,).
        backwards: backward passes, shape (B,).
        draws: different draws that were used, shape (B,).
        flat: gradients that were zero everywhere, shape (B,), counted as in ``backwards``.
        rejected: inputs among the queried ones that a detector refused to answer, shape (B,).
        left_out: by attack, the examples on which it found no gradient to follow.
    """

    points: Counts
    forwards: Counts
    backwards: Counts
    draws: Counts
    flat: Counts
    rejected: Counts

    def __init__(self, examples: int) -> None:
        for name in COUNTED:
            setattr(self, name, np.zeros(examples, np.int64))
        self.left_out: dict[str, set[int]] = {}
        self._seen: dict[int, set[int]] = {}  # for reusable keys: by key, the examples that used it

    def count(self, rows: Tensor, keys: list[int], *, forwards: int, backwards: int, again: bool) -> None:
        """Add one query.

        Args:
            rows: index of the example of each queried input.
            keys: keys of the draws used.
            forwards: forward passes of every input under every key.
            backwards: backward passes of every input under every key.
            again: whether other queries may use these keys too, in which case they count once.
        """
        counts = np.bincount(rows.cpu().numpy(), minlength=len(self.points)).astype(np.int64)
        self._grow(len(counts))
        self.points += counts
        self.forwards += forwards * len(keys) * counts
        self.backwards += backwards * len(keys) * counts
        if not again:
            self.draws += len(keys) * (counts > 0)
            return
        for key in keys:
            seen = self._seen.setdefault(key, set())
            fresh = set(np.flatnonzero(counts).tolist()) - seen
            seen |= fresh
            self.draws[list(fresh)] += 1

    def count_flat(self, rows: Tensor, gradient: Tensor, draws: int) -> None:
        """Add the gradients of one query, shape (N, ...), that are zero everywhere."""
        flat = (gradient == 0).flatten(1).all(1).cpu()
        if bool(flat.any()):
            np.add.at(self.flat, rows.cpu()[flat].numpy(), draws)  # an example may occur twice

    def reject(self, rows: Tensor) -> None:
        """Add queries about the examples ``rows`` that were not answered; each counts as a queried input."""
        counts = np.bincount(rows.cpu().numpy(), minlength=len(self.points)).astype(np.int64)
        self._grow(len(counts))
        self.points += counts
        self.rejected += counts

    def leave_out(self, attack: str, rows: Tensor) -> None:
        """Note the examples on which an attack could not run."""
        self.left_out.setdefault(attack, set()).update(rows.tolist())

    def _grow(self, examples: int) -> None:
        """Make room for more examples."""
        if examples <= len(self.points):
            return
        for name in COUNTED:
            counts = getattr(self, name)
            setattr(self, name, np.pad(counts, (0, examples - len(counts))))

    def merge(self, others: Queries, rows: Tensor) -> None:
        """Add the counts of queries about the examples ``rows`` of this batch; all their draws count as different."""
        index = rows.cpu().numpy()
        for name in COUNTED:
            getattr(self, name)[index] += getattr(others, name)
