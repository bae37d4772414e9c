"""A random mask on the input: certificates against changes of a few pixels, words or columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import gammaln
from torch import Tensor, nn

from variate.certificates.front import Front, OnInput, mask
from variate.certificates.mechanism import Floats
from variate.inputs.budget import Budget
from variate.inputs.columns import columns_moved
from variate.inputs.modality import Modality
from variate.registry import certificate


@certificate(
    norms=("l0", "words"),
    modality=("image", "text", "tabular"),
    deployments=("vote", "single", "survive-N", "majority-S"),
    needs="a random Mask on the input, drawn at each forward",
    cite="Levine & Feizi 2020, arXiv:1911.09272; for words: Zeng et al. 2021 (RanMASK), arXiv:2105.03743",
)
@dataclass(frozen=True)
class Ablation(OnInput):
    """Random mask: the probability of an answer moves by at most 1 - C(n - K, k) / C(n, k) for K changed positions.

    The mask keeps k of n positions. With probability C(n - K, k) / C(n, k) it hides all K that the attacker changed,
    and then the network sees the same input as before.

    Attributes:
        positions: number of positions, n.
        keep: number of positions that stay visible, k.
        front: the layer that hides.
        touched: number of positions that one change may touch: 2 for tables with categories, where a change of category
            moves the columns of the old and of the new one, and one more for each sum or ratio that a number is in.
    """

    positions: int
    keep: int
    front: Front
    touched: int = 1
    norms: ClassVar[tuple[str, ...]] = ("l0", "words")

    @classmethod
    def find(cls, network: nn.Module, x: Tensor) -> Ablation | None:
        """The random mask on the input of a network."""
        found = mask(network, x)
        if found is None:
            return None
        front, layer = found
        return cls(layer.order.numel(), layer.keep, front)

    def on(self, modality: Modality) -> Ablation:
        """The same for inputs of a modality: how many columns a change may move."""
        return replace(self, touched=columns_moved(modality))

    def seen(self, changed: Floats | int) -> Floats:
        """The probability that the mask shows one of the positions that ``changed`` changes may touch."""
        n, k, c = self.positions, self.keep, self.touched * np.asarray(changed, dtype=np.float64)
        rest = np.maximum(n - c, k)
        hidden = np.exp(gammaln(rest + 1) - gammaln(rest - k + 1) + gammaln(n - k + 1) - gammaln(n + 1))
        return np.where(n - c >= k, 1.0 - hidden, 1.0)

    def remains(self, p: Floats, budget: Budget) -> Floats:
        """P minus the probability that the mask shows a change."""
        self.check_norm(budget.norm)
        return np.maximum(p - self.seen(int(budget.size)), 0.0)

    def radius(self, p: Floats, norm: str) -> Floats:
        """The largest number of changed positions at which more than one half remains."""
        self.check_norm(norm)
        table = 0.5 + self.seen(np.arange(self.positions + 1, dtype=np.float64))  # rises
        largest: Floats = np.maximum(np.searchsorted(table, p, side="left") - 1.0, 0.0)
        return largest

    def probability(self, budget: Budget) -> float:
        """One half and the probability that the mask shows a change."""
        self.check_norm(budget.norm)
        return min(0.5 + float(self.seen(int(budget.size))), 1.0)

    def sentence(self) -> str:
        """How much the mask keeps."""
        most = {2: "two", 3: "three"}.get(self.touched, str(self.touched))
        also = f", where a change of category, or of a number that others follow, touches up to {most}"
        shown = f"a random mask that shows {self.keep} of {self.positions} positions of the input"
        return shown + also if self.touched > 1 else shown
