"""More draws until the interval is as narrow as asked, with the confidence shared among all looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from variate.errors import UsageError
from variate.statistics.rates import Bits, Crossed, Deployment, Rate, crossed, interval

GROWTH = 2  # every look has twice the draws of the one before


@dataclass(frozen=True)
class Sequential:
    """A rate that was estimated until it was narrow enough.

    Attributes:
        rate: with its interval, valid whenever it was stopped.
        draws: that were taken.
        reached: whether the interval is as narrow as asked.
        by_examples: what the examples alone leave of the width: no number of draws goes below it.
    """

    rate: Rate
    draws: int
    reached: bool
    by_examples: float

    def __str__(self) -> str:
        text = f"{self.rate} after {self.draws} draws"
        if self.reached:
            return text
        floor = f"{100 * self.by_examples:.1f} points of the width come from the examples and stay however many draws"
        return f"{text}, wider than asked: about {floor}"


def until(
    more: Callable[[int], Bits],
    *,
    width: float,
    deployment: str = "single",
    first: int = 32,
    most: int = 4096,
    level: float = 0.95,
) -> Sequential:
    """Ask for more draws until the interval of the rate is narrower than ``width``.

    Looking again and again would make an interval of 95 % miss more often than in one of twenty cases, because one
    stops where it happens to be narrow. The looks double the draws, so that there are few, and each has an equal share
    of the error (Bonferroni): the interval holds at the level whenever it stops (simulated: 98 to 100 % at 95 %, for
    the looks are alike and it seldom needs them all). The examples are fixed, and with them
    their part of the interval: where that alone is wider than asked, no number of draws helps, and the search stops.

    Args:
        more: gives ``count`` further draws of the answers, shape (count, B): the judge, on the verdict's stream.
        width: of the interval, from end to end, in (0, 1).
        deployment: ``single`` or ``survive-N``.
        first: draws of the first look.
        most: draws after which it gives up.
        level: confidence of the final interval.

    Raises:
        UsageError: for a width or numbers of draws that make no sense.
    """
    way = Deployment.parse(deployment)
    if not 0 < width < 1 or not 2 <= first <= most or way.rule not in ("single", "survive"):
        raise UsageError(
            f"cannot look for a width of {width} from {first} to {most} draws of {deployment}",
            expected="a width between 0 and 1, at least 2 draws, and single or survive-N",
        )
    looks = 1
    while first * GROWTH**looks <= most:
        looks += 1
    each = 1 - (1 - level) / looks
    answers = more(first)
    for look in range(looks):
        mean = crossed(answers, [way.size])[0]
        rate, floor = interval(mean, level=each), _by_examples(mean, each)
        reached = rate.high - rate.low <= width
        if reached or floor > width or look == looks - 1:
            break
        answers = np.concatenate([answers, more(len(answers) * (GROWTH - 1))])
    return Sequential(rate, len(answers), reached, floor)


def _by_examples(mean: Crossed, level: float) -> float:
    """The width that draws without number would leave, about: what the spread over examples holds beyond noise."""
    variance = max(mean.by_example - mean.residual, 0.0)
    return float(2 * stats.norm.ppf((1 + level) / 2) * variance**0.5)
