"""How far a training is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """For objectives that change on the way, or count the examples.

    Attributes:
        examples: N, in the training split.
        total: optimizer steps of the whole training.
        step: steps done.
    """

    examples: int = 1
    total: int = 1
    step: int = 0

    @property
    def share(self) -> float:
        """The part of the training that is done, in [0, 1]."""
        return min(1.0, self.step / max(1, self.total))
