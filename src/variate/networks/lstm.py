"""A recurrent network for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from variate.registry import network
from variate.tokens import Tokens


@network(modality=("text",), cite="Hochreiter & Schmidhuber 1997; both directions: Graves & Schmidhuber 2005")
class LSTM(nn.Module):
    """A bidirectional LSTM, its mean over time, one linear layer.

    Args:
        shape: of one input, (T, 1).
        classes: number of logits.
        details: of the data set: its ``words``.
        width: of a word's vector.
        hidden: units in each direction.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], width: int = 50, hidden: int = 48
    ) -> None:
        super().__init__()
        self.tokens = Tokens(len(details["words"]), width)
        self.recurrent = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        vectors, there = self.tokens(x)
        states, _ = self.recurrent(vectors)  # (B, T, 2 H)
        weights = there.to(states).unsqueeze(-1)
        logits: Tensor = self.head((states * weights).sum(1) / weights.sum(1).clamp(min=1))
        return logits
