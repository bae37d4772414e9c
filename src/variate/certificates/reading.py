"""How the outputs of draws are read as votes: what they say of every part of an answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from variate.tasks.classes import CLASSES
from variate.tasks.task import Task


@dataclass(frozen=True)
class Reading:
    """Votes on a batch of examples, in one row: P whole numbers for each example, one for each part of its answer.

    Attributes:
        task: what the answers mean, ``parted``.
        y: labels, shape (B, ...).
    """

    task: Task
    y: Tensor

    @classmethod
    def of_classes(cls, x: Tensor) -> Reading:
        """For classes, whatever the labels."""
        return cls(CLASSES, torch.zeros(len(x), dtype=torch.long, device=x.device))

    @property
    def right(self) -> Tensor:
        """The right votes, -1 for a part that does not count: (B * P,)."""
        return self.task.part_labels(self.y).flatten()

    @property
    def parts(self) -> int:
        """The number of parts of an answer, P."""
        return len(self.task.part_labels(self.y[:1])[0])

    def each(self, outputs: Tensor) -> Tensor:
        """The votes of single draws: (n, B, M) to (n, B * P)."""
        return self.task.parts(outputs, self.y).flatten(1)

    def together(self, outputs: Tensor) -> Tensor:
        """The vote of the mean of several draws: (S, B, M) to (B * P,)."""
        return self.task.parts(self.task.mean(outputs, self.y)[None], self.y).flatten()

    def at(self, rows: Tensor) -> Reading:
        """For some of the examples."""
        return replace(self, y=self.y[rows])
