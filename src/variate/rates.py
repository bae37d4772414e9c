"""From a matrix of right and wrong answers (draws x examples) to a rate with an interval, for each way to deploy.

The draws of a network are shared by all examples, so answers are neither independent over draws nor over examples. The
interval therefore counts both: the variance of the mean is that of a two-way crossed design, and the interval is the
exact binomial one (Clopper & Pearson 1934) at the effective sample size (Korn & Graubard 1998, "Confidence intervals
for proportions with small expected number of positive counts estimated from survey data").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from variate.errors import UsageError, unknown_name
from variate.survival import CURVE, all_right, sizes_up_to

Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]
Rule = Literal["single", "mean", "majority", "survive"]
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


def rate_of(deployment: Deployment, answers: Bits, *, level: float = 0.95) -> Rate:
    """The rate of a deployment from its answers.

    Args:
        deployment: how the network is used.
        answers: right or wrong, shape (G, B): G draws (or groups of S draws) by B examples; G is 1 for a deterministic
            network, whose every deployment is the same.
        level: confidence of the interval.
    """
    matrix = answers.astype(np.float64)
    grouped = deployment.rule in ("mean", "majority") and len(matrix) > 1
    draws = len(matrix) * (deployment.size if grouped else 1)
    if deployment.rule == "survive" and len(matrix) > 1:
        return _survive(matrix, deployment.size, level)
    by_draw = float(np.var(matrix.mean(1), ddof=1)) / len(matrix) if len(matrix) > 1 else 0.0
    return _interval(matrix.mean(0), by_draw, residual(matrix), len(matrix), draws, level)


def _survive(matrix: Floats, size: int, level: float) -> Rate:
    """P(all N answers are right), unbiased: C(c, N) / C(n, N) for c right answers of n draws; draws by jackknife."""
    n = len(matrix)
    if size >= n:
        raise UsageError(
            f"survive-{size} cannot be estimated from {n} draws", todo=f"judge with more than {size} draws"
        )
    right = matrix.sum(0)  # (B,)
    per_example = all_right(right, n, size)
    without = all_right(right - matrix, n - 1, size).mean(1)  # (n,): the rate without each draw in turn
    by_draw = (n - 1) / n * float(np.square(without - without.mean()).sum())
    return _interval(per_example, by_draw, 0.0, n, n, level)


def survive_curve(answers: Bits, sizes: Sequence[int] = CURVE, *, level: float = 0.95) -> dict[int, Rate]:
    """How often N answers are all right, for every N that the draws can tell of.

    Args:
        answers: right or wrong, shape (n, B); one row of a deterministic network, which is the same for every N.
        sizes: N, each from 1.
        level: confidence of each interval.
    """
    possible = sizes if len(answers) == 1 else sizes_up_to(len(answers), sizes)
    return {size: rate_of(Deployment("survive", size), answers, level=level) for size in possible}


def residual(matrix: Floats) -> float:
    """The part of the variance of a mean that both the draws' and the examples' component contain."""
    groups, examples = matrix.shape
    if groups < 2 or examples < 2:
        return 0.0
    rest = matrix - matrix.mean(0) - matrix.mean(1, keepdims=True) + matrix.mean()
    squares = float(np.sum(rest**2))
    return float(squares / ((groups - 1) * (examples - 1)) / (groups * examples))


def _interval(per_example: Floats, by_draw: float, residual: float, groups: int, draws: int, level: float) -> Rate:
    examples = len(per_example)
    rate = float(per_example.mean())
    by_example = float(per_example.var(ddof=1)) / examples if examples > 1 else 0.0
    variance = max(by_example + by_draw - residual, by_example, by_draw)
    if variance <= 0 or not 0 < rate < 1:  # nothing varied: the smaller of the two samples is all that is known
        effective = float(min(examples, draws) if draws > 1 else examples)
    else:
        parts = by_example**2 / max(examples - 1, 1) + by_draw**2 / max(groups - 1, 1)
        shrink = _normal_over_t(level, variance**2 / parts)
        effective = rate * (1 - rate) / variance * shrink**2
    low, high = clopper_pearson(rate * effective, effective, level)
    return Rate(rate, min(low, rate), max(high, rate))


def clopper_pearson(right: float, total: float, level: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval for ``right`` of ``total``; both may be fractional (effective sample sizes)."""
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, right, total - right + 1)) if right > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, right + 1, total - right)) if right < total else 1.0
    return low, high


@cache
def _normal_over_t(level: float, freedom: float) -> float:
    upper = (1 + level) / 2
    return float(stats.norm.ppf(upper) / stats.t.ppf(upper, freedom))
