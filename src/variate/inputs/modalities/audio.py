"""Sound: single-channel clips, perturbed by a bounded change of samples or by noise below the clip's level."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from variate.inputs.budget import Budget
from variate.inputs.modality import Kept, Modality, Reach, packed
from variate.registry import modality

SILENCE = 0.5  # a sample of 0
UNIT = 2.0  # amplitudes range over [-1, 1], inputs over [0, 1]
FULL_SCALE = 32_768  # of 16-bit sound


@modality(
    norms=("linf", "l2", "snr"),
    cite="Carlini & Wagner 2018, arXiv:1801.01944 (audio); signal to noise: Olivier & Raj 2022, arXiv:2203.16536",
)
@dataclass(frozen=True)
class Audio(Modality):
    """Single-channel clips: an input is (amplitude + 1) / 2, shape (B, 1, T). Budgets are in amplitudes in [-1, 1].

    ``linf:0.01`` changes every sample by at most 0.01 of full scale, ``l2:1`` bounds the norm of the noise, and
    ``snr:20dB`` bounds it relative to the norm of the clip: at most a tenth of it. Samples of exactly 0 at the end of a
    clip are padding, which is never changed.

    Attributes:
        rate: sampling rate, samples per second.
    """

    rate: int = 8000

    @property
    def unit(self) -> float:
        """Two: budgets are in amplitudes."""
        return UNIT

    def findings(self, x: Tensor) -> Iterator[str]:
        """Inputs of another shape, silent clips."""
        if x.dim() != 3 or x.shape[1] != 1:
            yield f"x has shape {tuple(x.shape)}: single-channel clips have shape (B, 1, T)"
            return
        silent = (~_not_padding(x).flatten(1).any(1)).nonzero()[:, 0].tolist()
        if silent:
            yield f"{len(silent)} clips are silent; the first is number {silent[0]}"

    def norm(self, budget: Budget) -> str:
        """A signal-to-noise ratio is an l2 ball around the clip."""
        return "l2" if budget.norm == "snr" else budget.norm

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Every sample but the padding; for ``snr``, points are in units of the clip's norm."""
        self.check(budget)
        mask = _not_padding(x).to(x)  # (B, 1, T)
        if budget.norm != "snr":
            return Reach(x, budget.with_size(str(budget.size / int(UNIT))), unit=UNIT, scale=mask)
        levels = (UNIT * (x - SILENCE)).flatten(1).norm(dim=1)  # (B,)
        points = Budget.parse(f"l2:{budget.eps / UNIT!r}")
        return Reach(x, points, unit=UNIT, scale=mask * levels[:, None, None])

    def whole_range(self, x: Tensor, budget: Budget) -> Budget:
        """Every sample anywhere in [-1, 1]; for ``snr`` the same set in linf."""
        if budget.norm != "l2":
            return Budget.parse(f"linf:{UNIT:g}")
        return Budget.parse(f"l2:{UNIT * x[0].numel() ** 0.5:.6g}")

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """16-bit samples, shape (1, T), and their rate."""
        before, after = (
            ((UNIT * clip - 1) * FULL_SCALE).round().clamp(-FULL_SCALE, FULL_SCALE - 1)
            for clip in (original, perturbed)
        )
        return Kept(packed(before, "<i2"), packed(after, "<i2"), {"rate": self.rate})


def _not_padding(x: Tensor) -> Tensor:
    """The mask of samples that are not padding: all up to the last nonzero one, (B, 1, T)."""
    nonzero = (x != SILENCE).to(torch.int64)
    mask: Tensor = nonzero.flip(-1).cumsum(-1).flip(-1) > 0
    return mask
