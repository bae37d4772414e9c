"""What an attack sees of a task other than classes: two logits, of which the first means that the answer stands.

The logits are ``[0, margin]``, with the margin of the task: above 0 where an answer is lost, differentiable, one number
per answer. So an attack that was written for classes climbs the margin of any task: its label is 0, its cross-entropy
is softplus(margin), and it has won once the label 1 is answered.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Margin = Callable[[Tensor, Tensor], Tensor]  # outputs (B, M) and labels (B, ...) to (B,)


class View:
    """The two logits of every answer to a batch of examples.

    Args:
        margin: how close an answer is to being lost, above 0 where it is.
        labels: what the answers should be, shape (B, ...).
    """

    def __init__(self, margin: Margin, labels: Tensor) -> None:
        self._margin = margin
        self._labels = labels

    def of(self, outputs: Tensor, rows: Tensor | None = None) -> Tensor:
        """Outputs (..., N, M) for the examples ``rows``, by default all in order, to logits (..., N, 2)."""
        labels = (self._labels if rows is None else self._labels[rows.to(self._labels.device)]).to(outputs.device)
        flat = outputs.reshape(-1, *outputs.shape[-2:])  # (S, N, M)
        margins = torch.stack([self._margin(draw, labels) for draw in flat]).view(outputs.shape[:-1])
        return torch.stack([torch.zeros_like(margins), margins], -1)
