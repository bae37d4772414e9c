"""A recurrent network with an answer for every word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from variate.models.lstm import LSTM
from variate.registry import network


@network(modality=("text",), cite="Huang et al. 2015, arXiv:1508.01991, without the random field", tasks=("positions",))
class LSTMTagger(nn.Module):
    """The network ``lstm`` without pooling: its linear layer answers at every word.

    Args:
        shape: shape of one input, (T, 1).
        classes: number of classes, K.
        details: details of the data set, with its vocabulary as ``words``.
        width: size of a word's vector.
        hidden: units in each direction.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], width: int = 50, hidden: int = 48
    ) -> None:
        super().__init__()
        self.lstm = LSTM(shape, classes, details=details, width=width, hidden=hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, T, K)."""
        logits: Tensor = self.lstm.head(self.lstm.states(x)[0])
        return logits
