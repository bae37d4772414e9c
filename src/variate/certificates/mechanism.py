"""What a mechanism proves: how far an attacker within a budget can lower the probability of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from variate.certificates.reading import Reading
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.inputs.columns import columns_moved
from variate.inputs.modality import Modality

Floats = NDArray[np.float64]


class Mechanism(ABC):
    """A source of randomness that bounds what an attacker can do, found in one network.

    With p the probability of an answer at an input, ``remains(p, budget)`` is a lower bound on its probability at every
    input within the budget; it rises with p. Everything else follows: the vote keeps its label while that is above one
    half, one draw answers so at least as often, N draws in a row at least as often as its N-th power.

    Attributes:
        norms: norms of the budgets for which it proves something.
        apart: whether each budget needs votes of its own.
        parted: whether it bounds answers of any task with parts, or classes alone.
        random: whether votes differ; otherwise one vote says all, without any chance of error.
    """

    norms: ClassVar[tuple[str, ...]]
    apart: ClassVar[bool] = False
    parted: ClassVar[bool] = True
    random: bool = True

    @property
    def name(self) -> str:
        """The registered name: that of the file."""
        return type(self).__module__.rpartition(".")[2].replace("_", "-")

    @classmethod
    @abstractmethod
    def find(cls, network: nn.Module, x: Tensor) -> Mechanism | None:
        """The mechanism in a network that takes inputs such as ``x``, (B, ...); None if it has none of this kind.

        Raises:
            UsageError: if it has one that proves nothing, with the reason.
        """

    def on(self, modality: Modality) -> Mechanism:
        """The mechanism for inputs of a modality, with budgets in its unit.

        Raises:
            UsageError: for tables in which one change moves several columns: one of category, or of a number that
                others are computed from.
        """
        if columns_moved(modality) > 1:
            raise UsageError(
                f"tables with categories, sums or ratios have no certificate by {self.name}: one change moves several "
                "columns, but the budget counts a change of category by its cost, and columns that follow others not",
                expected="columns of numbers that are not computed from others, or a random Mask in front "
                "(random-ablation), which counts changes",
            )
        return self.in_unit(modality.unit)

    def in_unit(self, unit: float) -> Mechanism:
        """The mechanism for budgets in another unit than the inputs', of which a change of one value by 1 has so many.

        Only budgets that measure changes have one; those that count them have none.
        """
        return self

    def within(self, budget: Budget) -> Mechanism:
        """The mechanism for votes within a budget, where they are ``apart``."""
        return self

    @abstractmethod
    def remains(self, p: Floats, budget: Budget) -> Floats:
        """The least probability of an answer at an input within the budget, where it is at least ``p`` without."""

    @abstractmethod
    def radius(self, p: Floats, norm: str) -> Floats:
        """The largest size of a budget at which ``remains`` is above one half; 0 where p is not. Of the shape of p."""

    @abstractmethod
    def probability(self, budget: Budget) -> float:
        """The probability above which the vote is certified within the budget: the inverse of ``radius``."""

    @abstractmethod
    def sentence(self) -> str:
        """What makes the noise and how much of it there is, as the end of 'The proof rests on ...'."""

    @abstractmethod
    def votes(self, network: nn.Module, x: Tensor, keys: Sequence[int], votes_of: int, reading: Reading) -> Tensor:
        """What every vote says, (n // votes_of, B * P), from n keys: that of a draw, or of the mean of several."""

    def check_norm(self, norm: str) -> None:
        """Raise ``UsageError`` unless something is proved within budgets of a norm."""
        if norm not in self.norms:
            raise UsageError(
                f"this network has no certificate in {norm}: {self.sentence()}",
                expected=f"one of {', '.join(self.norms)}",
            )


def usual_norm(certified: Sequence[str], norms: Sequence[str]) -> str:
    """The first norm of a certificate that is among those of the inputs' budgets; the first of all if none is."""
    return next((norm for norm in certified if norm in norms), certified[0])
