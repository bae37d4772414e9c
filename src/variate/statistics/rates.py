"""From a matrix of right and wrong answers (draws x examples) to a rate with an interval, for each way to deploy.

The draws of a network are shared by all examples, so answers are neither independent over draws nor over examples. The
interval therefore counts both: the variance of the mean is that of a two-way crossed design, with the t quantile of its
degrees of freedom (Satterthwaite 1946). Few draws of a skewed rate make such an interval too short on the side of the
tail that was hardly seen, so it is the hull of two:

- the exact binomial one (Clopper & Pearson 1934) at the effective sample size (Korn & Graubard 1998, "Confidence
  intervals for proportions with small expected number of positive counts estimated from survey data");
- the t interval after the transformation that removes skewness (Hall 1992, "On the removal of skewness by
  transformation", J. R. Statist. Soc. B 54).

Simulated coverage of 95 % intervals (logistic answers; rates .5, .8, .95; 20 to 200 draws; 50 to 1000 examples; draws
that vary by 0 to 2 logits): 93 to 98 % for single draws, 94 to 98 % for survive-5. It is conservative, up to 98.5 %,
for 20 draws that are all alike or that vary by 2 logits about a rate of .5, and up to 100 % for survive-N of an N above
a third of the draws. It is too short on the side above where survive-N is nearly impossible: 67 to 93 % for true rates
below .002, with widths of a few thousandths. No interval knows of draws that it has not seen: what befalls one draw in
n is missed by n draws in one of three cases.

Of fewer than 20 examples the skewness is hardly known, and Hall's ends ran off to 0 or 100 %: they are kept within two
quantiles of the rate. Simulated coverage with 10 examples (20 and 160 draws that vary by .5 logits; examples that vary
by .5 and 2): 94 to 98 % for single draws at rates of .2, .5 and .8, 86 to 100 % at .95; 93 to 99.5 % for survive-5 of
single rates from .5, and 67 to 84 % at .2, where what few examples survive may be missing among ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from variate.errors import UsageError, unknown_name
from variate.statistics.survival import CURVE, all_right, sizes_up_to

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rule = Literal["single", "mean", "majority", "survive"]
FEW, REACH = 20, 2.0  # examples of which skewness tells little, and how many quantiles Hall's ends then keep within
RULES = ("single", "mean-S", "majority-S", "survive-N")


@dataclass(frozen=True)
class Deployment:
    """A way to answer queries with a random network, and what the attacker may repeat.

    ``single``: one fresh draw per query. ``mean-S``: the mean probability of S draws. ``majority-S``: the label that
    most of S draws give, a tie being wrong. ``survive-N``: one draw per query, and the attacker asks N times: all N
    must be right.
    """

    rule: Rule
    size: int

    @classmethod
    def parse(cls, text: str | Deployment) -> Deployment:
        """Read ``single``, ``mean-16``, ``majority-16`` or ``survive-10``. Raises ``UsageError``."""
        if isinstance(text, Deployment):
            return text
        rule, _, size = str(text).partition("-")
        if text == "single":
            return cls("single", 1)
        if rule not in ("mean", "majority", "survive"):
            raise unknown_name("deployment", str(text), RULES)
        if not size.isdecimal() or int(size) < 1:
            raise UsageError(f"the deployment {text!r} has no size", expected=f"{rule}-16 or another number from 1")
        return cls(cast(Rule, rule), int(size))

    def __str__(self) -> str:
        return self.rule if self.rule == "single" else f"{self.rule}-{self.size}"

    @property
    def source(self) -> str:
        """The answers it is computed from: those of single draws for ``survive``, its own otherwise."""
        return "single" if self.rule == "survive" else str(self)


@dataclass(frozen=True)
class Rate:
    """A share of right answers with its confidence interval, all in [0, 1]."""

    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.rate:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Crossed:
    """A mean over draws and examples, taken apart; draws and examples are crossed: every draw answered every example.

    Attributes:
        per_example: its value at each example, shape (B,).
        per_draw: its value at each draw (jackknife pseudo-values, whose mean is the rate), shape (n,).
        residual: the variance of the mean that varies with neither alone; the spread over examples and that over draws
            both contain it.
    """

    per_example: Floats
    per_draw: Floats
    residual: float

    @cached_property
    def rate(self) -> float:
        """The mean."""
        return float(self.per_example.mean())

    @cached_property
    def by_example(self) -> float:
        """The variance of the mean that comes from the examples, the residual included."""
        return _variance_of_mean(self.per_example)

    @cached_property
    def by_draw(self) -> float:
        """The variance of the mean that comes from the draws, the residual included."""
        return _variance_of_mean(self.per_draw)

    @cached_property
    def variance(self) -> float:
        """The variance of the mean."""
        return max(self.by_example + self.by_draw - self.residual, self.by_example, self.by_draw)

    @cached_property
    def skewness(self) -> float:
        """The skewness of the mean."""
        third = _third_cumulant_of_mean(self.per_example) + _third_cumulant_of_mean(self.per_draw)
        return float(third / self.variance**1.5)

    @cached_property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of the variance."""
        parts = self.by_example**2 / max(len(self.per_example) - 1, 1)
        return self.variance**2 / (parts + self.by_draw**2 / max(len(self.per_draw) - 1, 1))


def rate_of(deployment: Deployment, answers: Bits, *, level: float = 0.95) -> Rate:
    """The rate of a deployment from its answers.

    Args:
        deployment: how the network is used.
        answers: right or wrong, shape (G, B): G draws (or groups of S draws) by B examples; G is 1 for a deterministic
            network, whose every deployment is the same.
        level: confidence of the interval.

    Raises:
        UsageError: ``survive-N`` from N or fewer draws.
    """
    size = deployment.size if deployment.rule == "survive" and len(answers) > 1 else 1
    return interval(crossed(answers, [size])[0], level=level)


def survive_curve(answers: Bits, sizes: Sequence[int] = CURVE, *, level: float = 0.95) -> dict[int, Rate]:
    """How often N answers are all right, for every N that the draws can tell of.

    Args:
        answers: right or wrong, shape (n, B); one row of a deterministic network, which is the same for every N.
        sizes: N, each from 1.
        level: confidence of each interval alone.
    """
    if len(answers) == 1:
        return dict.fromkeys(sizes, interval(crossed(answers)[0], level=level))
    possible = sizes_up_to(len(answers), sizes)
    means = crossed(answers, possible)
    return {size: interval(mean, level=level) for size, mean in zip(possible, means, strict=True)}


def crossed(answers: Bits, sizes: Sequence[int] = (1,)) -> list[Crossed]:
    """P(N answers are right) for each N of ``sizes``, without bias: C(c, N) / C(n, N) for c right answers of n draws.

    The draws' part is the jackknife's: what the estimate becomes without each draw in turn. For N = 1 it is each draw's
    own share of right answers. Of an N near n the jackknife counts too much of the variance (Efron & Stein 1981).

    Args:
        answers: right or wrong, shape (n, B).
        sizes: numbers N from 1 to n - 1 (or 1 itself where n is 1).

    Raises:
        UsageError: N draws cannot be chosen from n and leave one out.
    """
    matrix = answers.astype(np.float64)  # (n, B)
    n, examples = matrix.shape
    for size in sizes:
        if size >= max(n, 2):
            todo = f"judge with more than {size} draws"
            raise UsageError(f"survive-{size} cannot be estimated from {n} draws", todo=todo)
    right = matrix.sum(0)  # (B,)
    asked = np.array(sizes, dtype=np.float64)[:, None]  # (N, 1)
    per_example = (
        np.stack([all_right(right, n, size) for size in sizes]) if sizes else np.zeros((0, examples))
    )  # (N, B)
    # a right draw's pseudo-value minus a wrong one's: (n - 1) C(c - 1, N - 1) / C(n - 1, N)
    gap = per_example / np.maximum(right, 1) * asked * n * (n - 1) / np.maximum(n - asked, 1)  # (N, B)
    gap = np.where(asked == 1, 1.0, gap)  # also where no draw was right
    offset = (matrix @ gap.T - right / n @ gap.T) / examples  # (n, N): each draw's distance from the rate
    within = (np.square(gap) * right * (1 - right / n)).sum(1) - examples * np.square(offset).sum(0)  # (N,)
    residual = np.maximum(within, 0) / max((n - 1) * (examples - 1), 1) / (n * examples)
    return [
        Crossed(each, each.mean() + moved, float(rest) if min(n, examples) > 1 else 0.0)
        for each, moved, rest in zip(per_example, offset.T, residual, strict=True)
    ]


def interval(mean: Crossed, *, level: float = 0.95) -> Rate:
    """The rate with its confidence interval: see the top of this file."""
    rate, draws, examples = mean.rate, len(mean.per_draw), len(mean.per_example)
    if mean.variance <= 0 or not 0 < rate < 1:  # nothing varied: the smaller of the two samples is all that is known
        known = float(min(examples, draws) if draws > 1 else examples)
        low, high = clopper_pearson(rate * known, known, level)
        return Rate(rate, min(low, rate), max(high, rate))
    quantile = _quantile(level, mean.freedom)
    effective = rate * (1 - rate) / mean.variance * (_quantile(level, np.inf) / quantile) ** 2
    low, high = clopper_pearson(rate * effective, effective, level)
    if draws > 1:  # the answers of one draw are independent: the binomial interval is exact
        below, above = _without_skew(mean, quantile)
        low, high = min(low, below), max(high, above)
    return Rate(rate, max(min(low, rate), 0.0), min(max(high, rate), 1.0))


def _without_skew(mean: Crossed, quantile: float) -> tuple[float, float]:
    """Hall's interval: g(T) is nearly normal for g(T) = T + k T^2 / 3 + k^2 T^3 / 27 + k / 6, k the mean's skewness."""
    skew, spread = mean.skewness, mean.variance**0.5
    if abs(skew) < 1e-6:
        return mean.rate - spread * quantile, mean.rate + spread * quantile
    ends = 3 / skew * (np.cbrt(1 + skew * (np.array([quantile, -quantile]) - skew / 6)) - 1)
    if len(mean.per_example) < FEW:
        ends = ends.clip(-REACH * quantile, REACH * quantile)
    low, high = mean.rate - spread * ends
    return float(low), float(high)


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _third_cumulant_of_mean(values: Floats) -> float:
    n = len(values)
    return float(((values - values.mean()) ** 3).sum()) / ((n - 1) * (n - 2) * n) if n > 2 else 0.0


def clopper_pearson(right: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval for ``right`` of ``total``; both may be fractional (effective sample sizes)."""
    tail = (1 - level) / 2
    low = float(special.betaincinv(right, total - right + 1, tail)) if right > 0 else 0.0
    high = float(special.betaincinv(right + 1, total - right, 1 - tail)) if right < total else 1.0
    return low, high


def _quantile(level: float, freedom: float) -> float:
    return float(special.stdtrit(freedom, (1 + level) / 2))
