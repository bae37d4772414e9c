"""How differently several networks answer the same examples: what all, any and each of them answer correctly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from variate.errors import UsageError
from variate.statistics.crossed import Crossed, Floats, Scores, checked
from variate.statistics.rates import Rate, interval
from variate.statistics.survival import all_right, least_weights

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


def spread_of(right: Scores, *, level: float = 0.95) -> Spread:
    """The spread of networks over the same examples.

    Args:
        right: whether each network answers each example correctly, or its score in [0, 1], shape (K, B), K at least 2.
            Of scores, what all networks answer is the lowest of ``size``, and what any does the highest.
        level: confidence of each interval.

    Raises:
        UsageError: for fewer than two networks.
    """
    networks = len(right)
    if networks < 2:
        raise UsageError("one network has no spread", expected="two networks or more, three for the rule of thumb")
    size, scores = min(SIZE, networks), checked(right)
    partial = bool(((scores > 0) & (scores < 1)).any())
    every, some = _least(scores, size, partial), 1 - _least(1 - scores, size, partial)  # (B,), (B,)
    each = tuple(_rate(row, level, partial) for row in scores)
    by_all, by_any, gap = (_rate(values, level, partial) for values in (every, some, np.maximum(some - every, 0.0)))
    return Spread(each, by_all, by_any, gap, size)


def _least(scores: Floats, size: int, partial: bool) -> Floats:
    """The lowest score of ``size`` networks, on average over all choices of them: (K, B) to (B,)."""
    networks = len(scores)
    if not partial:  # the share of the choices whose networks are all right
        return all_right(scores.sum(0), networks, size)
    lowest: Floats = least_weights(networks, size) @ np.sort(scores, axis=0)
    return lowest


def _rate(values: Floats, level: float, partial: bool) -> Rate:
    return interval(Crossed(values, np.array([values.mean()]), 0.0, partial), level=level)
