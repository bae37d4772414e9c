"""Two networks on the same inputs: how far apart their rates are, and whether chance would do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from variate.errors import UsageError
from variate.rates import Bits, Floats, residual

RESAMPLES = 2000


@dataclass(frozen=True)
class Comparison:
    """The rate of one network less that of another, on the same examples.

    Attributes:
        difference: of the rates of single draws, in [-1, 1].
        low, high: its bootstrap interval, over examples and over the draws of both.
        only_first, only_second: examples that one of them alone answers rightly in most draws.
        p: of McNemar's exact test: the chance of a split at least as uneven, if both were alike.
    """

    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float

    def __str__(self) -> str:
        points = " to ".join(f"{100 * end:+.1f}" for end in (self.low, self.high))
        return f"{100 * self.difference:+.1f} points [{points}], p = {self.p:.3g}"


def compare(first: Bits, second: Bits, *, paired_draws: bool = False, level: float = 0.95, seed: int = 0) -> Comparison:
    """Compare two networks, or one under two attacks.

    Examples are shared and resampled together; draws are resampled apart, because two networks have draws of their own,
    or together where both answered under the same keys. Resampling both factors at once counts what is neither the
    example's nor the draw's more than once (Owen & Eckles 2012, arXiv:1106.2125), so the resampled differences are
    drawn in to the variance of the crossed design. McNemar's test (1947), in its exact form, is of the answer that most
    draws give to each example.

    Args:
        first: right or wrong, shape (n, B).
        second: right or wrong, shape (m, B).
        paired_draws: whether row s of both is of the same draw.
        level: confidence of the interval.
        seed: of the resampling.

    Raises:
        UsageError: for different examples, or draws that cannot be paired.
    """
    if first.shape[1] != second.shape[1] or (paired_draws and len(first) != len(second)):
        raise UsageError(
            f"answers of shapes {first.shape} and {second.shape} cannot be compared",
            expected="the same examples, and as many draws where draws are paired",
        )
    generator = np.random.default_rng(seed)
    one, two = first.astype(np.float64), second.astype(np.float64)
    examples = one.shape[1]
    weights = _weights(generator, examples)  # (R, B)
    draws = _weights(generator, len(one))  # (R, n)
    others = draws if paired_draws else _weights(generator, len(two))  # (R, m)
    found = ((draws @ one - others @ two) * weights).sum(1)  # (R,)
    tail = (1 - level) / 2
    difference = float(one.mean() - two.mean())
    spread = float(found.std())
    scale = min(1.0, _variance(one, two, paired_draws) ** 0.5 / spread) if spread > 0 else 1.0
    low, high = difference + scale * (np.quantile(found, [tail, 1 - tail]) - difference)
    most_one, most_two = one.mean(0) > 0.5, two.mean(0) > 0.5
    only_first, only_second = int((most_one & ~most_two).sum()), int((most_two & ~most_one).sum())
    apart = only_first + only_second
    p = float(stats.binomtest(only_first, apart).pvalue) if apart else 1.0
    return Comparison(difference, float(low), float(high), only_first, only_second, p)


def _variance(one: Floats, two: Floats, paired: bool) -> float:
    """The variance of the difference of the means: examples are shared, draws too if they are paired."""
    by_example = float((one.mean(0) - two.mean(0)).var(ddof=1)) / one.shape[1] if one.shape[1] > 1 else 0.0
    parts = [one - two] if paired else [one, two]
    by_draw = sum(float(part.mean(1).var(ddof=1)) / len(part) for part in parts if len(part) > 1)
    return max(by_example + by_draw - sum(residual(part) for part in parts), by_example)


def _weights(generator: np.random.Generator, count: int) -> Floats:
    """How often each of ``count`` is taken in each resample, as shares: (R, count)."""
    return generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
