"""Gaussian noise on the input: randomized smoothing, in l2, l1 and linf."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import ndtr, ndtri
from torch import Tensor, nn

from variate.certificates.front import InputNoise, OnInput, input_noise
from variate.certificates.mechanism import Floats
from variate.inputs.budget import Budget
from variate.registry import certificate


@certificate(
    norms=("l2", "l1", "linf"),
    modality=("image", "audio", "tabular"),
    deployments=("vote", "single", "survive-N", "majority-S"),
    needs="independent Gaussian noise on the input (Shift, or the defense smoothing), drawn at each forward",
    cite="Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918; Salman et al. 2019, arXiv:1906.04584, lemma 2",
)
@dataclass(frozen=True)
class Gaussian(OnInput):
    """Gaussian input noise: the probability of an answer moves by at most ||d / sigma|| in units of Phi^-1.

    For z = x + beta, beta ~ N(mu, diag(sigma^2)), and any answer h(z) in [0, 1], with whatever randomness behind z, the
    Neyman-Pearson lemma gives |Phi^-1 p(x + d) - Phi^-1 p(x)| <= ||d / sigma||_2. Isotropic noise is best for a radius:
    the smallest sigma decides it.

    Attributes:
        sigma: standard deviation of every value of the input, of its shape, in the unit of the budgets.
        front: the layer that adds the noise.
        unit: the size of a budget that a change of one value by 1 takes.
    """

    sigma: Floats
    front: InputNoise
    unit: float = 1.0
    norms: ClassVar[tuple[str, ...]] = ("l2", "l1", "linf")

    @classmethod
    def find(cls, network: nn.Module, x: Tensor) -> Gaussian | None:
        """The Gaussian noise on the input of a network."""
        front = input_noise(network, x, "normal")
        return None if front is None else cls(front.std, front)

    def in_unit(self, unit: float) -> Gaussian:
        """The same noise, measured in another unit."""
        return replace(self, sigma=self.sigma * (unit / self.unit), unit=unit)

    def distance(self, budget: Budget) -> float:
        """The largest ||d / sigma||_2 within a budget."""
        return budget.eps / self._unit(budget.norm)

    def remains(self, p: Floats, budget: Budget) -> Floats:
        """Phi(Phi^-1(p) - t) with t the ``distance`` of the budget."""
        return np.asarray(ndtr(ndtri(p) - self.distance(budget)))

    def radius(self, p: Floats, norm: str) -> Floats:
        """The size at which ||d / sigma||_2 reaches Phi^-1(p)."""
        return np.asarray(np.maximum(ndtri(p), 0.0) * self._unit(norm))

    def probability(self, budget: Budget) -> float:
        """Phi(t)."""
        return float(ndtr(self.distance(budget)))

    def sentence(self) -> str:
        """The noise and its size."""
        low, high = float(self.sigma.min()), float(self.sigma.max())
        size = f"{low:.3g}" if high - low < 1e-6 * high else f"{low:.3g} to {high:.3g}"
        also = "" if self.unit == 1 else " in the unit of the budgets"
        return f"Gaussian noise of standard deviation {size} on the input{also}{self.front.exactness}"

    def _unit(self, norm: str) -> float:
        """The size of a budget within which ||d / sigma||_2 is at most 1."""
        self.check_norm(norm)
        return float((self.sigma**-2.0).sum() ** -0.5) if norm == "linf" else float(self.sigma.min())
