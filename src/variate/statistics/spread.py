"""How differently several networks answer the same examples: what all, any and each of them answer correctly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.errors import UsageError
from variate.statistics.rates import Bits, Crossed, Floats, Rate, interval
from variate.statistics.survival import all_right

SIZE = 3  # networks that the spread is of, so that it does not grow with their number


@dataclass(frozen=True)
class Spread:
    """Shares of the examples, each with its interval over examples.

    Attributes:
        each: answered correctly by each network.
        by_all, by_any: by all of ``size`` networks, and by at least one, on average over all choices of ``size``.
        gap: ``by_any`` minus ``by_all``.
        size: number of networks chosen: three, or two of two.
    """

    each: tuple[Rate, ...]
    by_all: Rate
    by_any: Rate
    gap: Rate
    size: int


def spread_of(right: Bits, *, level: float = 0.95) -> Spread:
    """The spread of networks over the same examples.

    Args:
        right: whether each network answers each example correctly, shape (K, B), K at least 2.
        level: confidence of each interval.

    Raises:
        UsageError: for fewer than two networks.
    """
    networks = len(right)
    if networks < 2:
        raise UsageError("one network has no spread", expected="two networks or more, three for the rule of thumb")
    size = min(SIZE, networks)
    correct = right.sum(0).astype(np.float64)  # (B,)
    every = all_right(correct, networks, size)  # (B,): share of the choices whose networks are all right
    some = 1 - all_right(networks - correct, networks, size)
    each = tuple(_rate(row.astype(np.float64), level) for row in right)
    by_all, by_any, gap = (_rate(values, level) for values in (every, some, np.maximum(some - every, 0.0)))
    return Spread(each, by_all, by_any, gap, size)


def _rate(values: Floats, level: float) -> Rate:
    return interval(Crossed(values, np.array([values.mean()]), 0.0), level=level)
