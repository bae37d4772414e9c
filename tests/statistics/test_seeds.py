"""Differences over seeds: their mean, the coverage of their interval, and the power of a comparison."""

import numpy as np
import pytest

from variate.errors import UsageError
from variate.statistics.comparison import compare
from variate.statistics.seeds import compare_seeds


def trained(generator, gain, *, seeds, spread, draws=20, examples=300):
    """Pairs of networks on shared examples: the first gains ``gain`` on average, with standard deviation ``spread``."""
    base = generator.beta(2, 1.5, examples) * 0.8
    pairs = []
    for _ in range(seeds):
        own = gain + spread * generator.standard_normal()
        rates = np.clip(base + own + 0.02 * generator.standard_normal((draws, 1)), 0, 1)
        pairs.append((generator.random((draws, examples)) < rates, generator.random((1, examples)) < base))
    return pairs


def test_the_difference_is_the_mean_over_seeds():
    pairs = trained(np.random.default_rng(0), 0.05, seeds=4, spread=0.02)
    expected = np.mean([compare(*pair).difference for pair in pairs])
    assert compare_seeds(pairs).difference == pytest.approx(expected)


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.03), (5, 0.03)])
def test_the_interval_covers_what_further_seeds_examples_and_draws_would_show(seeds, spread):
    generator, times = np.random.default_rng(1), 300
    inside = 0
    for _ in range(times):
        found = compare_seeds(trained(generator, 0.04, seeds=seeds, spread=spread, examples=200))
        inside += found.low <= 0.04 <= found.high
    assert inside / times > 0.92  # of 95 %: four standard errors are .05


def test_seeds_that_differ_widen_the_interval():
    wide = compare_seeds(trained(np.random.default_rng(2), 0.04, seeds=3, spread=0.05))
    narrow = compare_seeds(trained(np.random.default_rng(2), 0.04, seeds=3, spread=0.0))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_p_agrees_with_the_interval():
    for seed in range(20):
        found = compare_seeds(trained(np.random.default_rng(seed), 0.03, seeds=3, spread=0.01))
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_networks_do_not_differ():
    same = np.random.default_rng(0).random((1, 50)) < 0.5
    found = compare_seeds([(same, same), (same, same)])
    assert found.difference == 0
    assert found.low < 0 < found.high


def test_one_seed_or_other_examples_are_refused():
    one = np.ones((1, 5), dtype=bool)
    for pairs in ([(one, one)], [(one, one), (one, np.ones((1, 6), dtype=bool))]):
        with pytest.raises(UsageError, match="over seeds"):
            compare_seeds(pairs)


def test_the_power_is_that_of_simulated_comparisons():
    """A true difference of the size said to be detectable is found significant in about 80 of 100 comparisons."""
    generator, examples, gain = np.random.default_rng(3), 1000, 0.05
    found = []
    for _ in range(300):
        first = generator.random(examples) < 0.6
        lost, won = generator.random(examples) < 0.1, generator.random(examples) < 0.1 * 1.5 + gain / 0.4
        second = np.where(first, ~lost, won)
        found.append(compare(second[None], first[None]))
    truth = 0.6 * -0.1 + 0.4 * (0.15 + gain / 0.4)
    assert np.mean([one.difference for one in found]) == pytest.approx(truth, abs=0.004)
    detectable = np.mean([one.detectable for one in found])
    share = np.mean([one.low + (detectable - truth) > 0 for one in found])  # as if the truth were that much larger
    assert share == pytest.approx(0.8, abs=0.07)
    assert found[0].power == f"differences under {100 * found[0].detectable:.1f} points could have been missed"
