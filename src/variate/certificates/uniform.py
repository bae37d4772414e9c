"""Uniform noise on the input: a certificate in l1."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from variate.certificates.front import InputNoise, OnInput, input_noise
from variate.certificates.mechanism import Floats
from variate.inputs.budget import Budget
from variate.registry import certificate


@certificate(
    norms=("l1",),
    modality=("image", "audio", "tabular"),
    deployments=("vote", "single", "survive-N", "majority-S"),
    needs="independent uniform noise on the input (Shift), drawn at each forward",
    cite="Yang et al. 2020, arXiv:2002.08118, section on uniform noise; Levine & Feizi 2021, arXiv:2103.10834",
)
@dataclass(frozen=True)
class Uniform(OnInput):
    """Uniform input noise: the probability of an answer moves by at most sum |d_i| / (2 lambda_i).

    Noise uniform on [-lambda_i, lambda_i] before and after a shift d has a total variation distance of at most
    sum |d_i| / (2 lambda_i), by the union bound over values.

    Attributes:
        half: lambda, half the width of every value's noise, of the shape of an input, in the unit of the budgets.
        front: the layer that adds the noise.
        unit: the size of a budget that a change of one value by 1 takes.
    """

    half: Floats
    front: InputNoise
    unit: float = 1.0
    norms: ClassVar[tuple[str, ...]] = ("l1",)

    @classmethod
    def find(cls, network: nn.Module, x: Tensor) -> Uniform | None:
        """The uniform noise on the input of a network."""
        front = input_noise(network, x, "uniform")
        return None if front is None else cls(front.std * 3**0.5, front)

    def in_unit(self, unit: float) -> Uniform:
        """The same noise, measured in another unit."""
        return replace(self, half=self.half * (unit / self.unit), unit=unit)

    def remains(self, p: Floats, budget: Budget) -> Floats:
        """P minus the total variation distance."""
        self.check_norm(budget.norm)
        return np.maximum(p - budget.eps / self._width, 0.0)

    def radius(self, p: Floats, norm: str) -> Floats:
        """The size at which p falls to one half."""
        self.check_norm(norm)
        return np.maximum(p - 0.5, 0.0) * self._width

    def probability(self, budget: Budget) -> float:
        """One half and the total variation distance."""
        self.check_norm(budget.norm)
        return min(0.5 + budget.eps / self._width, 1.0)

    def sentence(self) -> str:
        """The noise and its width."""
        also = "" if self.unit == 1 else " in the unit of the budgets"
        return f"uniform noise of at least {self._width:.3g} in width on the input{also}{self.front.exactness}"

    @property
    def _width(self) -> float:
        return 2 * float(self.half.min())
