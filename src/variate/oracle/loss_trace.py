"""An attack's loss, step by step: an attack whose loss was still rising at the end had not converged."""

from __future__ import annotations

import torch
from torch import Tensor

LAST = 10  # final steps that show whether an attack converged (Pintor et al. 2022, arXiv:2106.09947, section 3, I4)


class Trace:
    """The losses of one attack on one batch, since the attack last changed its loss function."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._loss: object = None

    def note(self, value: Tensor, loss: object, rows: Tensor | None) -> None:
        """Record the losses of one query, shape (B,), if it covered the whole batch."""
        if rows is not None:
            return
        if loss is not self._loss or (self._losses and len(value) != len(self._losses[-1])):
            self._losses, self._loss = [], loss
        self._losses.append(value)

    def rising(self) -> Tensor | None:
        """The rise of the best loss over the last steps, as a share of its range: (B,); None after too few steps.

        The last steps are the last ten, or the last quarter of fewer than forty.
        """
        last = min(LAST, len(self._losses) // 4)
        if last < 2:
            return None
        losses = torch.stack(self._losses).double()  # (T, B)
        best = losses.cummax(0).values
        span = best[-1] - losses.amin(0)
        return torch.where(span > 0, (best[-1] - best[-1 - last]) / span.where(span > 0, 1.0), 0.0)
