"""A convolutional network for transcripts of audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from variate.models.parts.log_mel import BANDS, LogMel
from variate.registry import network

STEPS = (2, 2, 1, 1)  # of the convolutions: a frame of the answer for every four of the spectrogram


@network(modality=("audio",), cite="Collobert et al. 2016, arXiv:1609.03193", tasks=("transcript",))
class Wav2Letter(nn.Module):
    """Four convolutions of width 7 with batch norm and ReLU over log-mel frames, and one linear layer per frame.

    The first two halve the number of frames, so that an answer has one for every 64 ms. The paper has more layers and
    learns on other features and without blanks; this is its small relative for CTC.

    Args:
        shape: shape of one input, (1, T).
        classes: outputs of every frame, the blank among them, K.
        details: details of the data set, with the sampling rate as ``rate``.
        width: channels of the convolutions.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], width: int = 64) -> None:
        super().__init__()
        self.log_mel = LogMel(details["rate"])
        sizes = (BANDS, *[width] * len(STEPS))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, 7, stride=step, padding=3)
            for before, after, step in zip(sizes[:-1], sizes[1:], STEPS, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in STEPS)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Clips of shape (B, 1, T) to logits of shape (B, N, K), N = T / (64 ms)."""
        signal = self.log_mel(x).transpose(1, 2)  # (B, M, N)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            signal = F.relu(norm(convolution(signal)))
        logits: Tensor = self.head(signal.transpose(1, 2))
        return logits
