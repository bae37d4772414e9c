"""How an attack's loss moved, step by step: an attack that ended while it still rose was not finished."""

from __future__ import annotations

import torch
from torch import Tensor

LAST = 10  # steps that an attack's end is judged by (Pintor et al. 2022, arXiv:2106.09947, section 3, I4)


class Trace:
    """The losses of one attack on one batch, from the last change of the loss on."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._of: object = None

    def note(self, value: Tensor, loss: object, rows: Tensor | None) -> None:
        """Keep the losses of one query, shape (B,), if it was about the whole batch."""
        if rows is not None:
            return
        if loss is not self._of or (self._losses and len(value) != len(self._losses[-1])):
            self._losses, self._of = [], loss
        self._losses.append(value)

    def rising(self) -> Tensor | None:
        """How far the best loss moved in the last steps, as a share of its range: (B,); None if it was too short.

        The last steps are ten, or a quarter of fewer than forty.
        """
        last = min(LAST, len(self._losses) // 4)
        if last < 2:
            return None
        losses = torch.stack(self._losses).double()  # (T, B)
        best = losses.cummax(0).values
        span = best[-1] - losses.amin(0)
        return torch.where(span > 0, (best[-1] - best[-1 - last]) / span.where(span > 0, 1.0), 0.0)
