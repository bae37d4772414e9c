"""The history of a training run by epoch, its best epoch, and the epochs since then."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """The history of a training run, by epoch.

    Attributes:
        losses: mean training loss.
        validation: accuracy on the validation split; empty without one.
        robust: accuracy on part of it under a short attack; empty unless epochs are compared by it.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    robust: list[float] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The first epoch, counted from 0, with the highest robust accuracy."""
        return self.robust.index(max(self.robust))

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.robust) - 1 - self.best if self.robust else 0
