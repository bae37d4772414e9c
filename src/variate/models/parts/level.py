"""Normalize the loudness of clips."""

from __future__ import annotations

from torch import Tensor, nn

QUIET = 1e-4  # of full scale: clips quieter than this are not raised to the level of the others


class Level(nn.Module):
    """Divides a waveform by its root mean square; nothing here is learned or random.

    Without it, a network trained on speakers close to the microphone fails on distant ones.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convert inputs in [0, 1], (B, C, T), to amplitudes of mean square 1, (B, C, T)."""
        amplitudes = 2 * x - 1
        level = (amplitudes.square().mean(-1, keepdim=True) + QUIET**2).sqrt()  # (B, C, 1)
        return amplitudes / level
