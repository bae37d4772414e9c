"""The progress of a training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """The progress of a training run, for objectives that change over time or need the number of examples.

    Attributes:
        examples: size of the training split, N.
        total: optimizer steps of the whole run.
        step: optimizer steps done.
        inner_steps: gradient steps of the inner attack in this epoch, summed over examples and draws.
    """

    examples: int = 1
    total: int = 1
    step: int = 0
    inner_steps: int = 0

    @property
    def share(self) -> float:
        """The fraction of the run that is done, in [0, 1]."""
        return min(1.0, self.step / max(1, self.total))
