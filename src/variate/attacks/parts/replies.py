"""Label queries that a deployed network may refuse, within a number of queries for each example."""

from __future__ import annotations

import torch
from torch import Tensor

from variate.oracle.losses import reached
from variate.oracle.oracle import LabelOracle
from variate.oracle.rejections import REJECTED


class Replies:
    """Whether the points of a query were answered, and wrongly.

    Args:
        oracle: returns the label that most of its draws predict, or refuses.
        x: the original inputs, shape (B, ...).
        y: labels, shape (B,).
        queries: maximum number of points queried per example, rejected ones included.

    Attributes:
        left: number of points that may still be queried, shape (B,).
    """

    left: Tensor

    def __init__(self, oracle: LabelOracle, x: Tensor, y: Tensor, queries: int) -> None:
        self._oracle, self._y = oracle, y
        self.left = torch.full((len(x),), queries, device=x.device)

    def ask(self, points: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Query some of C points per example under the same draws, in order, while queries are left.

        Args:
            points: the points, shape (B, C, ...).
            wanted: which of them to query, shape (B, C).

        Returns:
            Which were answered wrongly, and which were answered at all, both of shape (B, C).
        """
        wanted = wanted & (wanted.cumsum(1) <= self.left[:, None])
        self.left -= wanted.sum(1)
        wrong, answered = torch.zeros_like(wanted), torch.zeros_like(wanted)
        rows, columns = wanted.nonzero(as_tuple=True)
        if not len(rows):
            self.skip(1)
            return wrong, answered
        labels = self._oracle.labels(points[rows, columns], rows=rows.cpu())
        wrong[rows, columns] = reached(labels, self._y[rows], None)
        answered[rows, columns] = labels != REJECTED
        return wrong, answered

    def skip(self, queries: int) -> None:
        """Skip the draws of queries that no example makes: later draws do not depend on the batch."""
        self._oracle.skip(queries)
