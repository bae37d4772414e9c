"""A recurrent network for texts and audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from variate.inputs.words import Tokens
from variate.models.parts.log_mel import BANDS, LogMel
from variate.registry import network


@network(modality=("audio", "text"), cite="Hochreiter & Schmidhuber 1997; both directions: Graves & Schmidhuber 2005")
class LSTM(nn.Module):
    """A bidirectional LSTM over words or the frames of a spectrogram, mean pooling over time, one linear layer.

    Args:
        shape: shape of one input: (T, 1) for texts, (1, T) for clips of at least 32 ms.
        classes: number of classes, K.
        details: details of the data set: ``words`` for texts, ``rate`` for clips.
        width: size of a word's vector; a frame of audio has 40 mel bands.
        hidden: units in each direction.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], width: int = 50, hidden: int = 48
    ) -> None:
        super().__init__()
        self.is_audio = "words" not in details
        if self.is_audio:
            self.log_mel, width = LogMel(details["rate"]), BANDS
        else:
            self.tokens = Tokens(len(details["words"]), width)
        self.recurrent = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C), or clips of shape (B, 1, T), to logits of shape (B, K)."""
        states, mask = self.states(x)
        if mask is None:
            return self.head(states.mean(1))  # type: ignore[no-any-return]
        weights = mask.to(states).unsqueeze(-1)
        logits: Tensor = self.head((states * weights).sum(1) / weights.sum(1).clamp(min=1))
        return logits

    def states(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """States at every word or frame, (B, N, 2 H), and the mask of words that are not padding, (B, N)."""
        vectors, mask = (self.log_mel(x), None) if self.is_audio else self.tokens(x)
        states, _ = self.recurrent(vectors)
        return states, mask
