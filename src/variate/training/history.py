"""The history of a training run by epoch, its best epoch, and the epochs since then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from variate.records.curve import EpochAccuracy


@dataclass
class History:
    """The history of a training run, by epoch.

    Attributes:
        losses: mean training loss.
        validation: accuracy on the validation split; empty without one.
        robust: accuracy on part of it under a short attack; empty unless epochs are compared by it.
        curve: clean and robust accuracy on the same training and validation examples, at every epoch or every few;
            empty unless the network is trained on perturbed inputs, or ``curve_examples`` is set.
    """

    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    robust: list[float] = field(default_factory=list)
    curve: list[EpochAccuracy] = field(default_factory=list)

    @classmethod
    def restored(cls, facts: Mapping[str, Any]) -> History:
        """The history that ``asdict`` made a mapping of."""
        return cls(**{**facts, "curve": [EpochAccuracy(**point) for point in facts.get("curve", ())]})

    @property
    def best(self) -> int:
        """The first epoch, counted from 0, with the highest robust accuracy."""
        return self.robust.index(max(self.robust))

    @property
    def waited(self) -> int:
        """Epochs since the best one."""
        return len(self.robust) - 1 - self.best if self.robust else 0
