"""Rates with intervals from a matrix of answers (draws x examples), right or wrong or scored, for each deployment.

The draws of a network are shared by all examples, so answers are independent neither over draws nor over examples. The
interval accounts for both: the variance of the mean is that of a two-way crossed design, with the t quantile of its
degrees of freedom (Satterthwaite 1946). With few draws of a skewed rate such an interval is too short on the side of
the rarely observed tail, so the interval is the hull of two:

- the exact binomial one (Clopper & Pearson 1934) at the effective sample size (Korn & Graubard 1998, "Confidence
  intervals for proportions with small expected number of positive counts estimated from survey data");
- the t interval after the transformation that removes skewness (Hall 1992, "On the removal of skewness by
  transformation", J. R. Statist. Soc. B 54).

Near 0 and 1 few examples carry the rate, and their spread tells nothing of rarer ones that were not drawn. With c
carriers (``Crossed.carriers``) among B examples, the effective sample size is at most B (1 + (c / 8)^2), so that the
interval is at least as wide as that of B single answers where c is small; with fewer than 20 groups of draws, 8 is
larger in proportion.

Simulated coverage of 95 % intervals (``benchmarks/coverage.py``: 20, 100 and 1000 examples, 160 draws or 10 groups,
examples that vary by .5 to 4 logits and draws by 0 to 1; 200 simulations of each single and mean-16, 100 of survive-N),
as the lowest and the highest of these cases at true rates of the deployment itself:

- from .0001 to .01 and from .99 on: 92 to 100 %, mostly above 98 % (without this rule, intervals of survive-10 held a
  rate of .001 in 30 to 92 % of cases with 20 and 100 examples);
- from .1 to .9: 92 to 100 % for single draws and mean-16, 90 to 100 % for survive-N.

**Scores.** No score in [0, 1] varies more than right and wrong answers of the same mean, so the effective sample size
may exceed the number of examples, as it may for bits whose means over draws lie close together; the same bound holds.
It is not enough: scores can all lie near .9 until the first example fails. The B examples may all have missed a share
of 1 - (alpha / 2)^(1 / B) of the examples that there are (3.6 % of 100), so the interval always holds what the mean
would be if those scored 0, or 1. It is all that is known where all scores are equal, and the binomial interval where
they are 0 or 1. Hall's interval counts for single answers too, whose scores are not binomial, and its ends are always
clipped as below. Differences of scores (``comparison``) have no such share: they rest on the examples that were seen.

Simulated coverage (``benchmarks/coverage.py --scores``: beta distributed examples with .25 logits of noise shared by a
draw and .5 of its own; single answers, 160 draws, 10 groups of mean-16, and survive-10; 200 simulations each):

| scores | 20 examples | 100 | 1000 |
| :-- | --: | --: | --: |
| broad, Beta(2, 2) | 98 to 100 | 95 to 97 | 95 to 98 |
| near 1, Beta(18, 2) | 100 | 97 to 99 | 93 to 95 |
| near 0, Beta(.3, 10) | 100 | 98 to 100 | 97 to 98 |
| equal, Beta(270, 30), but for 1 % failures | 100 (t: 57) | 99 to 100 (t: 61) | 94 to 99 |
| nine of ten are 0 or 1 | 96 to 100 | 96 to 97 | 95 to 97 |

No interval can account for draws that were not observed: n draws miss an event of probability 1/n in about one of three
cases.

With fewer than 20 examples the skewness estimate is unreliable and Hall's interval reached 0 or 100 %, so its ends are
clipped to two quantiles from the rate. Intervals are conservative there: simulated coverage with 10 examples (20 and
160 draws that vary by .5 logits; examples that vary by .5 and 2; single draws and survive-5 at single-draw rates of .2
to .95; 400 simulations) is 99 to 100 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from variate.errors import UsageError, unknown_name
from variate.options import counted
from variate.statistics.crossed import Crossed, Scores, crossed
from variate.statistics.notation import percent, percent_interval
from variate.statistics.survival import CURVE, sizes_up_to

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rule = Literal["single", "mean", "majority", "survive"]
FEW, REACH = 20, 2.0  # below FEW examples, Hall's ends are clipped to REACH quantiles; FEW groups of draws are few
NOTHING = 1e-24  # variance of a mean of equal scores, from rounding
SEEN = 8.0  # carriers of a rate from which on their spread tells of the examples that were not seen
RULES = ("single", "mean-S", "majority-S", "survive-N")


@dataclass(frozen=True)
class Deployment:
    """How a random network answers queries, and how often the attacker may repeat one.

    ``single``: one fresh draw per query. ``mean-S``: the mean probability of S draws. ``majority-S``: the most frequent
    label of S draws; a tie is wrong. ``survive-N``: one draw per query, the attacker queries N times, and all N answers
    must be correct; where answers have scores, the lowest of N counts.
    """

    rule: Rule
    size: int

    @classmethod
    def parse(cls, text: str | Deployment) -> Deployment:
        """Parse ``single``, ``mean-16``, ``majority-16`` or ``survive-10``. Raises ``UsageError``."""
        if isinstance(text, Deployment):
            return text
        rule, _, size = str(text).partition("-")
        if text == "single":
            return cls("single", 1)
        if rule == "certified":
            raise UsageError(f"{text} takes a certificate at every answer", todo=f"variate certify --deployment {text}")
        if rule not in ("mean", "majority", "survive"):
            raise unknown_name("deployment", str(text), RULES)
        try:
            return cls(cast(Rule, rule), counted(size))
        except ValueError:
            raise UsageError(
                f"the deployment {str(text)[:80]!r} has no size", expected=f"{rule}-16 or another number from 1"
            ) from None

    def __str__(self) -> str:
        return self.rule if self.rule == "single" else f"{self.rule}-{self.size}"

    @property
    def source(self) -> str:
        """The answers it is computed from: single draws for ``survive``, its own answers otherwise."""
        return "single" if self.rule == "survive" else str(self)


@dataclass(frozen=True)
class Rate:
    """A share of correct answers, or a mean score, with its confidence interval, all in [0, 1]."""

    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{percent(self.rate)} {percent_interval(self.low, self.high)}"


def rate_of(deployment: Deployment, answers: Scores, *, level: float = 0.95) -> Rate:
    """The rate of a deployment from its answers.

    Args:
        deployment: how the network is deployed.
        answers: whether each answer is correct, or its score in [0, 1], shape (G, B): G draws (or groups of S draws) by
            B examples; G is 1 for a deterministic network, where all deployments are the same.
        level: confidence level of the interval.

    Raises:
        UsageError: for ``survive-N`` with N or fewer draws, or a score that is not in [0, 1].
    """
    size = deployment.size if deployment.rule == "survive" and len(answers) > 1 else 1
    return interval(crossed(answers, [size])[0], level=level)


def survive_curve(answers: Scores, sizes: Sequence[int] = CURVE, *, level: float = 0.95) -> dict[int, Rate]:
    """How often N answers are all correct (or their lowest score), for every N that the number of draws allows.

    Args:
        answers: whether each answer is correct, or its score in [0, 1], shape (n, B); one row for a deterministic
            network, where every N gives the same rate.
        sizes: values of N, each at least 1.
        level: confidence level of each interval (not simultaneous).
    """
    if len(answers) == 1:
        return dict.fromkeys(sizes, interval(crossed(answers)[0], level=level))
    possible = sizes_up_to(len(answers), sizes)
    means = crossed(answers, possible)
    return {size: interval(mean, level=level) for size, mean in zip(possible, means, strict=True)}


def interval(mean: Crossed, *, level: float = 0.95) -> Rate:
    """The rate with its confidence interval; the module docstring describes the method."""
    rate, draws, examples = mean.rate, len(mean.per_draw), len(mean.per_example)
    if mean.variance <= (NOTHING if mean.partial else 0) or not 0 < rate < 1:  # only the smaller sample size is known
        size = float(min(examples, draws) if draws > 1 else examples)
        same = mean.partial and mean.residual <= NOTHING  # all scores are equal
        low, high = _with_unseen(rate, size, level) if same else clopper_pearson(rate * size, size, level)
        return Rate(rate, min(low, rate), max(high, rate))
    quantile = _quantile(level, mean.freedom)
    effective = rate * (1 - rate) / mean.variance * (_quantile(level, np.inf) / quantile) ** 2
    enough = SEEN * max(1.0, FEW / draws) if draws > 1 else SEEN
    effective = min(effective, examples * (1 + (mean.carriers / enough) ** 2))
    ends = [clopper_pearson(rate * effective, effective, level)]
    if draws > 1 or mean.partial:  # the bits of one draw are independent: the binomial interval is exact
        ends.append(_without_skew(mean, quantile))
    if mean.partial:
        ends.append(_with_unseen(rate, examples, level))
    return Rate(rate, max(min(rate, *(low for low, _ in ends)), 0.0), min(max(rate, *(high for _, high in ends)), 1.0))


def _with_unseen(rate: float, size: float, level: float) -> tuple[float, float]:
    """The lowest and the highest mean if the examples that ``size`` of them may all have missed score 0, or 1."""
    share = 1 - ((1 - level) / 2) ** (1 / size)
    return rate * (1 - share), rate + (1 - rate) * share


def _without_skew(mean: Crossed, quantile: float) -> tuple[float, float]:
    """Hall's interval: g(T) = T + k T^2 / 3 + k^2 T^3 / 27 + k / 6 is nearly normal, with k the mean's skewness."""
    skew, spread = mean.skewness, mean.variance**0.5
    if abs(skew) < 1e-6:
        return mean.rate - spread * quantile, mean.rate + spread * quantile
    ends = 3 / skew * (np.cbrt(1 + skew * (np.array([quantile, -quantile]) - skew / 6)) - 1)
    if len(mean.per_example) < FEW or mean.partial:
        ends = ends.clip(-REACH * quantile, REACH * quantile)
    low, high = mean.rate - spread * ends
    return float(low), float(high)


def clopper_pearson(right: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval for ``right`` of ``total``; both may be fractional (effective sample sizes)."""
    tail = (1 - level) / 2
    low = float(special.betaincinv(right, total - right + 1, tail)) if right > 0 else 0.0
    high = float(special.betaincinv(right + 1, total - right, 1 - tail)) if right < total else 1.0
    return low, high


def _quantile(level: float, freedom: float) -> float:
    return float(special.stdtrit(freedom, (1 + level) / 2))
