"""What happened in a training, by epoch, and what follows from it: which epoch was best, and how long ago."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """What happened, by epoch.

    Attributes:
        losses: the mean loss.
        validation: the accuracy on the validation split, where there was one.
        robust: the accuracy on part of it under a short attack, where it was asked for.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    robust: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The epoch, counted from 0, of the highest robust accuracy; of equal ones the first."""
        return self.robust.index(max(self.robust))

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.robust) - 1 - self.best if self.robust else 0
