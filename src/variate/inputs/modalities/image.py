"""Images, and any other inputs whose values may all be changed alike."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from variate.inputs.budget import Budget
from variate.inputs.modality import Kept, Modality, Reach, packed
from variate.registry import modality


@modality(norms=("linf", "l2", "l1", "l0"), cite="Goodfellow et al. 2015, arXiv:1412.6572")
@dataclass(frozen=True)
class Image(Modality):
    """Pixels: every value may be changed, and all are treated alike."""

    def reach(self, x: Tensor, budget: Budget) -> Reach:
        """Every point is an input."""
        self.check(budget)
        return Reach(x, budget)

    def kept(self, original: Tensor, perturbed: Tensor) -> Kept | None:
        """8-bit pixels, shape (C, H, W); None for other shapes."""
        if original.dim() != 3:
            return None
        return Kept(packed((original * 255).round(), "u1"), packed((perturbed * 255).round(), "u1"))
