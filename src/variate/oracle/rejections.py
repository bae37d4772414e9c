"""Queries that a deployed network refuses to answer: what an oracle asks before it answers, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

REJECTED = -1  # the label of a query that was not answered


class Detector(Protocol):
    """A detector of suspicious queries, such as ``variate.Similar``."""

    def rejected(self, x: Tensor, clients: Sequence[int]) -> Tensor:
        """Which of N queries are rejected, one after another, as a mask of shape (N,) on the CPU.

        Args:
            x: inputs, shape (N, ...).
            clients: who sends each of them: the example that it is about.
        """
