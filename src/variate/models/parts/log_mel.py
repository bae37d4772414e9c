"""A log-mel spectrogram as a layer of the network, so that gradients reach the waveform."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.models.parts.level import Level

BANDS = 40
WINDOW = 0.032  # length of a frame in seconds; the hop is half of it
FLOOR = 1e-6  # relative to the power of a clip: 60 dB below it counts as silence


class LogMel(nn.Module):
    """Log power in mel bands; nothing here is learned or random.

    Windowed cosines and sines are applied as a convolution, so that the layer can be exported. The sum of squares is
    the power at each frequency; a sine has the square of its amplitude. Triangular filters sum it over bands (Davis &
    Mermelstein 1980). The values are 1 + log10(power + ``FLOOR``) / 3, which is -1 for silence. Clips are first brought
    to one level: see ``Level``.

    Args:
        rate: sampling rate, samples per second.
        bands: number of bands, M.
    """

    waves: Tensor
    filters: Tensor

    def __init__(self, rate: int, bands: int = BANDS) -> None:
        super().__init__()
        self.level = Level()
        self.size = 2 * round(WINDOW * rate / 2)
        self.register_buffer("waves", _waves(self.size))  # (2 F, 1, size)
        self.register_buffer("filters", mel_filters(rate, self.size, bands))  # (M, F)

    def forward(self, x: Tensor) -> Tensor:
        """Convert inputs in [0, 1], (B, 1, T), to N frames of M bands, (B, N, M)."""
        projections = F.conv1d(self.level(x), self.waves, stride=self.size // 2)  # (B, 2 F, N)
        cosines, sines = projections.square().chunk(2, dim=1)
        bands = self.filters @ (cosines + sines)  # (B, M, N)
        return (1 + (bands + FLOOR).log10() / 3).transpose(1, 2)


def mel_filters(rate: int, size: int, bands: int) -> Tensor:
    """Triangular filters, evenly spaced in mel up to half the sampling rate: (M, size / 2 + 1).

    A mel is 2595 log10(1 + f / 700) (O'Shaughnessy 1987, Speech communication: human and machine, page 150).
    """
    highest = 2595 * math.log10(1 + rate / 1400)
    corners = 700 * (10 ** (torch.linspace(0, highest, bands + 2, dtype=torch.float64) / 2595) - 1)  # (M + 2,)
    frequencies = torch.linspace(0, rate / 2, size // 2 + 1, dtype=torch.float64)  # (F,)
    low, middle, high = (corners[start : start + bands, None] for start in range(3))
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return torch.minimum(rising, falling).clamp(min=0).float()


def _waves(size: int) -> Tensor:
    """Cosines and sines of every frequency under a Hann window: (size + 2, 1, size)."""
    window = torch.hann_window(size, dtype=torch.float64)
    angles = torch.arange(size // 2 + 1, dtype=torch.float64)[:, None] * torch.arange(size) * (2 * math.pi / size)
    waves = torch.cat([angles.cos(), angles.sin()]) * window * (2 / window.sum())  # (2 F, size)
    return waves.unsqueeze(1).float()
