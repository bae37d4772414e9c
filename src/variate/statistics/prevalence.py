"""How unequally frequent classes are, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special

RATIO = 3  # how many times as frequent as the rarest class the most frequent one is, for accuracy to mislead
ERROR = 0.01  # of calling classes unequal that are equally frequent


@dataclass(frozen=True)
class Prevalence:
    """The number of examples of each class that occurs.

    Attributes:
        counts: examples of each class, by class.
    """

    counts: dict[int, int]

    @property
    def examples(self) -> int:
        """The number of examples."""
        return sum(self.counts.values())

    @property
    def most(self) -> int:
        """The most frequent class."""
        return max(self.counts, key=lambda label: self.counts[label])

    @property
    def least(self) -> int:
        """The rarest class that occurs."""
        return min(self.counts, key=lambda label: self.counts[label])

    def share(self, label: int) -> float:
        """The share of the examples that are of a class."""
        return self.counts[label] / self.examples

    @property
    def skewed(self) -> bool:
        """Whether accuracy misleads: a class is three times as frequent as another, and unequal beyond chance.

        The two are compared by an exact binomial test of equal frequencies, at an error of 1 % over all pairs.
        """
        if len(self.counts) < 2:
            return False
        most, least = self.counts[self.most], self.counts[self.least]
        pairs = len(self.counts) * (len(self.counts) - 1) / 2
        p = min(1.0, 2 * float(special.bdtr(least, most + least, 0.5)))
        return most >= RATIO * least and p * pairs < ERROR


def prevalence(labels: Iterable[int]) -> Prevalence:
    """The prevalence of the classes in labels."""
    classes, counts = np.unique(np.fromiter(labels, dtype=np.int64), return_counts=True)
    return Prevalence(dict(zip(classes.tolist(), counts.tolist(), strict=True)))
