"""Sequential estimation: draw until the interval is narrow enough, or until a probability is known to pass a threshold.

Intervals of rates share their error among a few looks (``until``). For the probability of a single kind of vote there
is a bound that holds at all numbers of votes at once, so that one may look after every vote (``lowest_always``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from variate.errors import UsageError
from variate.statistics.crossed import Crossed, Scores, crossed
from variate.statistics.proved import Floats
from variate.statistics.rates import Deployment, Rate, interval

GROWTH = 2  # every look has twice as many draws as the one before
PRIOR = (1.0, 0.25)  # parameters of the beta distribution: most votes of what can be certified are right
HALVINGS = 60  # of an interval, down to the precision of a float


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
    more: Callable[[int], Scores],
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
        more: returns ``count`` further draws of the answers, right or wrong or their scores, shape (count, B): the
            judge, on the verdict's stream.
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


def evidence(right: ArrayLike, draws: ArrayLike, p: ArrayLike) -> Floats:
    """The logarithm of the evidence against a probability ``p`` of independent trials, ``right`` of ``draws`` of them.

    It is the likelihood under a beta distribution of the probability, divided by that under ``p``. If p is the truth,
    the ratio is a nonnegative martingale with mean 1: with probability 1 - alpha it stays below 1 / alpha for ever
    (Ville 1939; Robbins 1970, "Statistical methods related to the law of the iterated logarithm").

    Scores in [0, 1] may take the place of trials, ``p`` that of their mean and ``right`` that of their sum: a^s b^(1-s)
    is convex in s, so each factor has at most the mean that it has for a trial, which is 1.
    """
    k, n, q = (np.asarray(values, dtype=np.float64) for values in (right, draws, p))
    one, other = PRIOR
    mixture = special.betaln(k + one, n - k + other) - special.betaln(one, other)
    return np.asarray(mixture - special.xlogy(k, q) - special.xlog1py(n - k, -q))


def lowest_always(right: ArrayLike, draws: ArrayLike, alpha: float) -> Floats:
    """A lower bound on a probability that holds after every trial: with probability 1 - ``alpha``, after all of them.

    So trials may end whenever the bound is high enough. It is the lower end of the probabilities against which there is
    no ``evidence`` of 1 / alpha; up to a quarter more trials, all right, reach
    what a fixed number of them would (``proved.lowest``).

    Args:
        right: number of right trials so far.
        draws: number of trials so far, at least 1; broadcast with ``right``.
        alpha: probability that the bound is ever above the truth.
    """
    k, n = (np.asarray(values, dtype=np.float64) for values in np.broadcast_arrays(right, draws))
    low, high = np.zeros_like(k), k / n  # evidence falls between them
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        against = evidence(k, n, middle) >= -np.log(alpha)
        low, high = np.where(against, middle, low), np.where(against, high, middle)
    return low


def decided(right: ArrayLike, draws: ArrayLike, p: float, alpha: float) -> NDArray[np.bool_]:
    """Whether the trials so far tell on which side of ``p`` their probability is, however often one asks."""
    return np.asarray(evidence(right, draws, p) >= -np.log(alpha))


def draws_always(p: float, alpha: float) -> int:
    """The smallest number of trials that, all right, have ``lowest_always`` at ``p`` or more."""
    most = 1
    while not decided(most, most, p, alpha):
        most *= 2
    counts = np.arange(most // 2, most + 1)
    return int(counts[decided(counts, counts, p, alpha)][0])


def _by_examples(mean: Crossed, level: float) -> float:
    """The approximate width with infinitely many draws: from the spread over examples beyond noise."""
    variance = max(mean.by_example - mean.residual, 0.0)
    return float(2 * stats.norm.ppf((1 + level) / 2) * variance**0.5)
