"""Sound: clips of one channel, whose samples may be moved a little, or by noise far below the clip's own level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.inputs.budget import Budget
from variate.inputs.modality import Kept, Modality, Reach, packed
from variate.registry import modality

SILENCE = 0.5  # a sample of 0
UNIT = 2.0  # amplitudes run from -1 to 1, inputs from 0 to 1
FULL_SCALE = 32_768  # of 16-bit sound


@modality(
    norms=("linf", "l2", "snr"),
    cite="Carlini & Wagner 2018, arXiv:1801.01944 (audio); signal to noise: Olivier & Raj 2022, arXiv:2203.16536",
)
@dataclass(frozen=True)
class Audio(Modality):
    """Clips of one channel: an input is (amplitude + 1) / 2, shape (B, 1, T). Budgets are in amplitudes in [-1, 1].

    ``linf:0.01`` moves every sample by at most 0.01 of full scale, ``l2:1`` bounds the norm of what is added, and
    ``snr:20dB`` bounds it by the clip's own norm: added noise has at most a tenth of it. The samples of exactly 0 at
    the end of a clip are its padding, and nothing touches them.

    Attributes:
        rate: samples in a second.
    """

    rate: int = 8000

    def findings(self, x: Tensor) -> Iterator[str]:
        """Inputs of another shape, clips without a sound."""
        if x.dim() != 3 or x.shape[1] != 1:
            yield f"x has shape {tuple(x.shape)}: clips of one channel have shape (B, 1, T)"
            return
        silent = (~_sounding(x).flatten(1).any(1)).nonzero()[:, 0].tolist()
        if silent:
            yield f"{len(silent)} clips are silent, the first being number {silent[0]}"

    def norm(self, budget: Budget) -> str:
        """Noise below a clip's level is a ball in l2 around it."""
        return "l2" if budget.norm == "snr" else budget.norm

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Every sample up to the last that sounds; in ``snr`` points are in units of the clip's norm."""
        self.check(budget)
        there = _sounding(x).to(x)  # (B, 1, T)
        if budget.norm != "snr":
            return Reach(x, budget.with_size(str(budget.size / 2)), unit=UNIT, scale=there)
        levels = (UNIT * (x - SILENCE)).flatten(1).norm(dim=1)  # (B,)
        points = Budget.parse(f"l2:{budget.eps / UNIT!r}")
        return Reach(x, points, unit=UNIT, scale=there * levels[:, None, None])

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """Every sample anywhere in [-1, 1]; where noise is measured by the clip, the same set in linf."""
        if budget.norm != "l2":
            return Budget.parse(f"linf:{UNIT:g}")
        return Budget.parse(f"l2:{UNIT * x[0].numel() ** 0.5:.6g}")

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """16-bit samples, shape (1, T), and their rate."""
        before, after = (
            ((UNIT * one - 1) * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1) for one in (original, perturbed)
        )
        return Kept(packed(before, "<i2"), packed(after, "<i2"), {"rate": self.rate})


def _sounding(x: Tensor) -> Tensor:
    """Which samples are not padding: all up to the last that is not exactly 0. (B, 1, T) to (B, 1, T)."""
    sounds = (x != SILENCE).to(torch.int64)
    after: Tensor = sounds.flip(-1).cumsum(-1).flip(-1) > 0  # whether anything sounds from here on
    return after
