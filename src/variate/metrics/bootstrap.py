"""Intervals of metrics over examples and draws.

A mean of numbers in [0, 1] has the interval of a rate (``variate.statistics.rates``). Every other metric has a
bootstrap interval: examples and draws (or groups of draws) are resampled independently, as what varies in a crossed
design (Owen 2007, "The pigeonhole bootstrap", arXiv:0712.1111); that is slightly too wide where examples and draws
interact (Owen & Eckles 2012, arXiv:1106.2125). The ends are percentiles of 1,000 resamples, moved away from the
estimate by the ratio of the t to the normal quantile and by sqrt((f + 1) / f) with f degrees of freedom, because few
examples or draws vary less in resamples than they do (Hesterberg 2015, arXiv:1411.5279, "expanded percentile"); that is
averaged over examples and draws by their shares in the variance (Cochran 1964, Biometrics 20). Sums over a few draws
have percentiles closer to their mean than a normal distribution's: with fewer than 20, ends are at least as far away as
those.

A class with no error among a few examples does not vary in resamples at all, although errors on it may be frequent. So
every resample for the low end has one example more, of a class chosen at random, that is answered wrong (with the mean
probabilities of the other classes), and for the high end one that is answered right (with those of its class), each
with a weight from the exponential distribution. For the accuracy of single answers, that gives the ends of the exact
binomial interval (Clopper & Pearson 1934): its lower end is a quantile of Beta(right, wrong + 1), its upper end of
Beta(right + 1, wrong). Metrics of positions and of numbers have no such examples; if none of their resamples differs
from the estimate, the end is that of an error in no example.

The calibration error, which chance inflates, is reflected about its estimate (basic bootstrap).

Simulated coverage of 95 % intervals (settings of ``benchmarks/metric_coverage.py``, 100 simulations each): 95 to 100 %
for balanced accuracy, MCC, F-beta and AUROC with a class of 10 % of the examples (100 examples with 1 or 16 draws, 400
with 4), 93 to 99 % for MAE, RMSE and R2 (100 examples with 1 draw, 200 with 4). With a rare class, intervals are wide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy import special

from variate.metrics.metric import Floats, Prepared
from variate.statistics.resampling import BLOCK, resamples

RESAMPLES = 1000
FEW = 20  # draws
ANSWERS = 2_000_000  # weights held at once


@dataclass(frozen=True)
class Resampled:
    """A statistic of answers and its values in resamples.

    Attributes:
        value: the estimate.
        low: values of resamples with one more example that is answered wrong, shape (R,).
        high: values of resamples with one more that is answered right, shape (R,).
        by_draw: variance of the estimate due to draws; 0 for a deterministic network.
        scale: how much one example that was not seen can move it, in units of its range.
    """

    value: float
    low: Floats
    high: Floats
    by_draw: float
    scale: float = 1.0

    def interval(
        self, examples: int, draws: int, bounds: tuple[float, float], *, biased: bool = False, level: float = 0.95
    ) -> tuple[float, float]:
        """The interval within bounds.

        Args:
            examples: number of examples, N.
            draws: number of draws or groups, G.
            bounds: lowest and highest value that is possible.
            biased: whether to reflect it about the estimate.
            level: confidence.
        """
        both = [values[~np.isnan(values)] for values in (self.low, self.high)]
        if min(map(len, both)) == 0:
            return bounds
        if all((values == self.value).all() for values in both):
            return self._without_variation(examples, bounds, level)
        tail = (1 - level) / 2
        low = min(float(np.quantile(values, tail)) for values in both) - self.value
        high = max(float(np.quantile(values, 1 - tail)) for values in both) - self.value
        if biased:
            low, high = -high, -low
        if 1 < draws < FEW:
            normal = float(special.ndtri(1 - tail)) * max(float(values.std()) for values in both)
            low, high = min(low, -normal), max(high, normal)
        stretch = self._stretch(both, examples, draws, level)
        return (
            max(self.value + min(low, 0.0) * stretch, bounds[0]),
            min(self.value + max(high, 0.0) * stretch, bounds[1]),
        )

    def _stretch(self, both: list[Floats], examples: int, draws: int, level: float) -> float:
        """How much further than percentiles the ends are."""
        variance = float(np.mean([values.var() for values in both]))
        share = min(self.by_draw / variance, 1.0) if variance > 0 else 0.0
        stretch = 0.0
        for part, count in ((1 - share, examples), (share, draws)):
            freedom = max(count - 1, 1)
            ratio = special.stdtrit(freedom, (1 + level) / 2) / special.ndtri((1 + level) / 2)
            stretch += part * float(ratio * np.sqrt((freedom + 1) / freedom))
        return stretch

    def _without_variation(self, examples: int, bounds: tuple[float, float], level: float) -> tuple[float, float]:
        """An error in none of the examples: its probability is at most 1 - (tail)^(1 / N)."""
        if not all(map(np.isfinite, bounds)):
            return self.value, self.value
        unseen = (1 - ((1 - level) / 2) ** (1 / examples)) * (bounds[1] - bounds[0]) * self.scale
        return max(self.value - unseen, bounds[0]), min(self.value + unseen, bounds[1])


def resampled(prepared: Prepared, draws: int, examples: int, seed: int) -> Resampled:
    """A metric and its values in resamples of N examples and G draws."""
    extra = 2 * prepared.made_up
    value = float(prepared.of(real_weights(np.ones((draws, 1)), examples, extra))[0])
    ends: tuple[list[Floats], list[Floats]] = ([], [])
    for block in blocks(draws, examples, prepared.made_up, seed, ANSWERS // (draws * (examples + extra))):
        for values, wrong in zip(ends, (True, False), strict=True):
            values.append(prepared.of(block.weights(wrong=wrong)))
            if not extra:
                ends[1].append(values[-1])
                break
    return Resampled(value, np.concatenate(ends[0]), np.concatenate(ends[1]), _by_draw(prepared, draws, examples))


def difference(first: Prepared, second: Prepared, draws: tuple[int, int], examples: int, seed: int) -> Resampled:
    """The metric of one network minus that of another, on the same resamples of N examples and of each one's draws.

    The example that is made up is answered wrong by one and right by the other.
    """
    extra = 2 * first.made_up
    each = [
        float(one.of(real_weights(np.ones((count, 1)), examples, extra))[0])
        for one, count in zip((first, second), draws, strict=True)
    ]
    size = ANSWERS // (max(draws) * (examples + extra))
    pairs = zip(
        blocks(draws[0], examples, first.made_up, seed, size),
        blocks(draws[1], examples, second.made_up, seed + 1, size),
        strict=True,
    )
    low, high = [], []
    for ours, other in pairs:
        theirs = replace(ours, draws=other.draws)
        low.append(first.of(ours.weights(wrong=True)) - second.of(theirs.weights(wrong=False)))
        high.append(first.of(ours.weights(wrong=False)) - second.of(theirs.weights(wrong=True)) if extra else low[-1])
    by_draw = sum(_by_draw(one, count, examples) for one, count in zip((first, second), draws, strict=True))
    return Resampled(each[0] - each[1], np.concatenate(low), np.concatenate(high), by_draw, scale=0.5)


@dataclass(frozen=True)
class Block:
    """Some resamples.

    Attributes:
        examples: how often each example occurs, shape (N, b).
        draws: how often each draw occurs, shape (G, b).
        classes: class of the example that is made up, shape (b,).
        mass: its weight, shape (b,).
        made_up: number of classes; 0 for none.
    """

    examples: Floats
    draws: Floats
    classes: Floats
    mass: Floats
    made_up: int

    def weights(self, *, wrong: bool) -> Floats:
        """The weights of all answers, shape (G, N + 2 made_up, b)."""
        count = len(self.mass)
        extra = np.zeros((2 * self.made_up, count))
        if self.made_up:
            row = (self.classes * self.made_up).astype(np.int64) + (self.made_up if wrong else 0)
            extra[row, np.arange(count)] = self.mass
        return np.asarray(self.draws[:, None] * np.concatenate([self.examples, extra]))


def blocks(draws: int, examples: int, made_up: int, seed: int, size: int) -> Iterator[Block]:
    """The resamples, so many at a time at most."""
    generator = np.random.default_rng([seed, 1])
    size = max(1, size)
    lengths = (examples, draws) if draws > 1 else (examples,)
    for counts in islice(resamples(lengths, seed), RESAMPLES // BLOCK):
        classes, mass = generator.random(BLOCK), generator.exponential(size=BLOCK)
        for start in range(0, BLOCK, size):
            rows = slice(start, start + size)
            of_examples = counts[0][rows].T.astype(np.float64, order="C")
            of_draws = counts[1][rows].T.astype(np.float64) if draws > 1 else np.ones((1, of_examples.shape[1]))
            yield Block(of_examples, of_draws, classes[rows], mass[rows], made_up)


def real_weights(of_draws: Floats, examples: int, extra: int) -> Floats:
    """Weights (G, N + extra, b) of draws (G, b), the same for every real example and 0 for made-up ones."""
    each = np.concatenate([np.ones(examples), np.zeros(extra)])
    return np.asarray(of_draws[:, None] * each[:, None])


def _by_draw(prepared: Prepared, draws: int, examples: int) -> float:
    """The variance of the mean over draws of the metric of each."""
    if draws < 2:
        return 0.0
    each = np.eye(draws)[:, :, None]  # (G, G, 1): one draw at a time, to bound memory
    values = np.concatenate([prepared.of(real_weights(one, examples, 2 * prepared.made_up)) for one in each])
    defined = values[~np.isnan(values)]
    return float(defined.var(ddof=1)) / draws if len(defined) > 1 else 0.0
