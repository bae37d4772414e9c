"""Sequential estimation: draw until the interval is narrow enough, with the error shared among all looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from variate.errors import UsageError
from variate.statistics.rates import Bits, Crossed, Deployment, Rate, crossed, interval

GROWTH = 2  # every look has twice as many draws as the one before


@dataclass(frozen=True)
class Sequential:
    """A rate that was estimated until its interval was narrow enough.

    Attributes:
        rate: the rate with its interval, which is valid whenever sampling stopped.
        draws: number of draws taken.
        reached: whether the interval is as narrow as requested.
        by_examples: width due to the examples alone, which more draws cannot reduce.
    """

    rate: Rate
    draws: int
    reached: bool
    by_examples: float

    def __str__(self) -> str:
        text = f"{self.rate} after {self.draws} draws"
        if self.reached:
            return text
        floor = f"about {100 * self.by_examples:.1f} points come from the examples, and more draws cannot reduce them"
        return f"{text}, wider than requested: {floor}"


def until(
    more: Callable[[int], Bits],
    *,
    width: float,
    deployment: str = "single",
    first: int = 32,
    most: int = 4096,
    level: float = 0.95,
) -> Sequential:
    """Take more draws until the interval of the rate is narrower than ``width``.

    With repeated looks a 95 % interval would miss in more than one of twenty cases, because sampling stops when it
    happens to be narrow. Each look doubles the draws, so there are few looks, and each gets an equal share of the error
    (Bonferroni). So the interval is valid whenever sampling stops (simulated coverage at 95 %: 98 to 100 %, since looks
    are correlated and rarely all needed). The examples are fixed, and so is their share of the width: if it alone
    exceeds ``width``, more draws do not help and sampling stops.

    Args:
        more: returns ``count`` further draws of the answers, shape (count, B): the judge, on the verdict's stream.
        width: full width of the interval, in (0, 1).
        deployment: ``single`` or ``survive-N``.
        first: number of draws at the first look.
        most: largest number of draws.
        level: confidence of the final interval.

    Raises:
        UsageError: for an invalid width, numbers of draws or deployment.
    """
    parsed = check_until(width=width, deployment=deployment, first=first, most=most, level=level)
    looks = 1
    while first * GROWTH**looks <= most:
        looks += 1
    look_level = 1 - (1 - level) / looks
    answers = more(first)
    for look in range(looks):
        mean = crossed(answers, [parsed.size])[0]
        rate, floor = interval(mean, level=look_level), _by_examples(mean, look_level)
        reached = rate.high - rate.low <= width
        if reached or floor > width or look == looks - 1:
            break
        answers = np.concatenate([answers, more(len(answers) * (GROWTH - 1))])
    return Sequential(rate, len(answers), reached, floor)


def check_until(*, width: float, deployment: str, first: int = 32, most: int, level: float) -> Deployment:
    """The deployment, if its rate can be estimated in this way. Raises ``UsageError``; arguments as for ``until``."""
    parsed = Deployment.parse(deployment)
    if not 0 < width < 1 or not 2 <= first <= most or parsed.rule not in ("single", "survive"):
        raise UsageError(
            f"cannot reach a width of {width} with {first} to {most} draws of {deployment}",
            expected="a width between 0 and 1, at least 2 draws, and single or survive-N",
        )
    if not 0 < level < 1:
        raise UsageError(f"cannot give an interval at the level {level}", expected="a level between 0 and 1")
    return parsed


def _by_examples(mean: Crossed, level: float) -> float:
    """The approximate width with infinitely many draws: from the spread over examples beyond noise."""
    variance = max(mean.by_example - mean.residual, 0.0)
    return float(2 * stats.norm.ppf((1 + level) / 2) * variance**0.5)
