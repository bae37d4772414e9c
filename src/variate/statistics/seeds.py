"""Compare two ways to train on the same inputs, each trained with several seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from variate.errors import UsageError
from variate.statistics.comparison import Comparison, compare
from variate.statistics.crossed import Crossed, Floats, Scores, crossed
from variate.statistics.rates import with_unseen


def compare_seeds(pairs: Sequence[tuple[Scores, Scores]], *, level: float = 0.95) -> Comparison:
    """The mean difference over seeds, with an interval over examples, draws and seeds.

    Two networks of one seed answer the same examples. The interval covers further examples, further draws and further
    seeds: the variance of the mean is that of a crossed design of seeds and examples, with draws nested in the seeds,
    and the t quantile has its degrees of freedom (Satterthwaite 1946). Three seeds leave little freedom where seeds
    differ more than examples do. Of scores, it also allows for the examples that may all have been missed (``rates``).

    Args:
        pairs: right or wrong, or scores in [0, 1], of the first and the second network of each seed, shapes (n, B) and
            (m, B), with the same examples for all; two seeds or more.
        level: confidence of the interval.

    Returns:
        The comparison; ``only_first`` and ``only_second`` count examples that one of them answers correctly in most
        draws (or at more than half the score) of most seeds.

    Raises:
        UsageError: for fewer than two seeds, or other examples.
    """
    if len(pairs) < 2 or len({side.shape[1] for pair in pairs for side in pair}) != 1:
        raise UsageError(
            f"{len(pairs)} pairs of networks cannot be compared over seeds",
            expected="two seeds or more, judged on the same examples",
        )
    first, second = (np.stack([pair[side].mean(0) for pair in pairs]) for side in (0, 1))  # (S, B)
    means = _crossed(first - second)
    majority_first, majority_second = ((side > 0.5).mean(0) > 0.5 for side in (first, second))
    counts = int((majority_first & ~majority_second).sum()), int((majority_second & ~majority_first).sum())
    if means.variance <= 0:  # nothing varied: what one seed can tell
        alone = compare(*pairs[0], level=level)
        return Comparison(means.rate, min(alone.low, means.rate), max(alone.high, means.rate), *counts, alone.p)
    error, freedom = means.variance**0.5, max(means.freedom, 1.0)
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    p = 2 * float(special.stdtr(freedom, -abs(means.rate) / error))
    low, high = means.rate - half, means.rate + half
    if any(crossed(side)[0].partial for pair in pairs for side in pair):
        below, above = with_unseen(means.rate, len(means.per_example), level, least=-1.0)
        low, high = min(low, below), max(high, above)
        p = max(p, min(2 * (1 + abs(means.rate)) ** -len(means.per_example), 1.0))  # the level at which they reach 0
    return Comparison(means.rate, max(low, -1.0), min(high, 1.0), *counts, p)


def _crossed(gaps: Floats) -> Crossed:
    """The variance components of differences, shape (S, B)."""
    seeds, examples = gaps.shape
    by_seed, by_example = gaps.mean(1), gaps.mean(0)
    rest = gaps - by_example - by_seed[:, None] + gaps.mean()
    residual = float(np.square(rest).sum()) / max((seeds - 1) * (examples - 1), 1) / gaps.size
    return Crossed(by_example, by_seed, residual)
