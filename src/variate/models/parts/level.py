"""Clips at one loudness, whatever they were recorded at."""

from __future__ import annotations

from torch import Tensor, nn

QUIET = 1e-4  # of full scale: what is quieter on average is not made as loud as the rest


class Level(nn.Module):
    """A waveform divided by its root mean square: nothing here is learned or random.

    Without it a network that heard one speaker close to the microphone does not know another who stood apart.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Inputs in [0, 1] of shape (B, C, T) to amplitudes of mean square 1, of the same shape."""
        amplitudes = 2 * x - 1
        level = (amplitudes.square().mean(-1, keepdim=True) + QUIET**2).sqrt()  # (B, C, 1)
        return amplitudes / level
