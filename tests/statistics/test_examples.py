"""Verdicts on examples, curves of repeated questions, comparisons and sequential estimates: right, and valid."""

from math import comb

import numpy as np
import pytest
from scipy import stats

from variate.errors import UsageError
from variate.statistics.comparison import compare
from variate.statistics.examples import error_rates, verdicts
from variate.statistics.rates import Deployment, rate_of, survive_curve
from variate.statistics.sequential import until
from variate.statistics.survival import CURVE, all_right

Z = 5


def answers_of(random, draws, examples, center=1.0, by_example=1.5, by_draw=0.5, levels=None):
    """Answers of a random network: examples and draws of different difficulty."""
    hard = by_example * random.standard_normal(examples) if levels is None else levels
    level = center + hard + by_draw * random.standard_normal((draws, 1))
    return random.random((draws, examples)) < stats.norm.cdf(level)


@pytest.mark.parametrize("level", [0.9, 0.99])
@pytest.mark.parametrize("error", [0.0, 0.05, 0.5])
def test_the_interval_of_each_example_covers_at_least_its_level(level, error):
    random = np.random.default_rng(0)
    rates = error_rates(random.random((40, 20000)) >= error, level=level)
    covered = np.mean((rates.low <= error) & (error <= rates.high))
    assert covered >= level - Z * np.sqrt(level * (1 - level) / 20000)
    one = stats.binomtest(3, 40).proportion_ci(level)
    found = error_rates(np.arange(40)[:, None] >= 3, level=level)
    assert (found.low[0], found.high[0]) == pytest.approx((one.low, one.high))


def test_a_verdict_is_seldom_wrong_and_abstains_where_draws_are_few():
    random = np.random.default_rng(1)
    for error, truth in ((0.3, "right"), (0.7, "wrong")):
        found = verdicts(random.random((60, 5000)) >= error, level=0.99)
        opposite = {"right": "wrong", "wrong": "right"}[truth]
        assert found.count(opposite) <= 5000 * 0.01
        assert found.count(truth) > 3000
    assert set(verdicts(np.ones((3, 2), dtype=bool), level=0.999)) == {"abstain"}
    assert set(verdicts(np.ones((30, 2), dtype=bool), level=0.999)) == {"right"}
    even = verdicts(random.random((60, 5000)) >= 0.5, level=0.99)
    assert even.count("abstain") >= 5000 * 0.98
    with pytest.raises(UsageError, match="level"):
        verdicts(np.ones((3, 2), dtype=bool), level=0.4)


def test_a_deterministic_network_is_never_in_doubt():
    answers = np.array([[True, False]])
    assert verdicts(answers) == ["right", "wrong"]
    rates = error_rates(answers)
    assert rates.low.tolist() == rates.high.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("size", [1, 2, 20, 60])
def test_survival_is_the_share_of_all_subsets_of_draws(size):
    counts = np.arange(61, dtype=float)
    by_hand = [comb(int(c), size) / comb(60, size) for c in counts]
    assert np.allclose(all_right(counts, 60, size), by_hand, rtol=1e-9)
    assert float(all_right(np.array([9990.0]), 10000, 100)[0]) == pytest.approx(
        np.prod([(9990 - i) / (10000 - i) for i in range(100)])
    )


def test_the_curve_falls_from_one_question_on_and_stands_beside_its_single_rate():
    answers = answers_of(np.random.default_rng(2), 160, 50)
    curve = survive_curve(answers)
    assert list(curve) == list(CURVE)
    assert curve[1].rate == pytest.approx(rate_of(Deployment.parse("single"), answers).rate)
    rates = [rate.rate for rate in curve.values()]
    assert rates == sorted(rates, reverse=True)
    assert all(rate.low <= rate.rate <= rate.high for rate in curve.values())
    assert list(survive_curve(answers[:20])) == list(range(1, 20))
    same = survive_curve(answers[:1])  # a deterministic network answers the same each time
    assert len({rate.rate for rate in same.values()}) == 1
    assert len(same) == 100


@pytest.mark.parametrize(("by_draw", "paired"), [(0.0, False), (0.7, False), (0.7, True)])
def test_a_comparison_covers_the_true_difference(by_draw, paired):
    random = np.random.default_rng(3)
    centers, by_example = (1.0, 0.7), 1.2
    spread = np.sqrt(1 + by_example**2 + by_draw**2)
    truth = float(np.subtract(*(stats.norm.cdf(center / spread) for center in centers)))
    simulations, covered = 300, 0
    for number in range(simulations):
        levels, shared = by_example * random.standard_normal(150), random.standard_normal((30, 1))
        pair = []
        for center in centers:
            draw = shared if paired else random.standard_normal((30, 1))
            pair.append(random.random((30, 150)) < stats.norm.cdf(center + levels + by_draw * draw))
        found = compare(*pair, paired_draws=paired, seed=number)
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / simulations <= 0.995, covered / simulations


def test_mcnemar_is_exact_and_the_difference_that_of_the_rates():
    first, second = np.ones((1, 30), dtype=bool), np.ones((1, 30), dtype=bool)
    first[0, :2], second[0, 2:14] = False, False
    found = compare(first, second)
    assert (found.only_first, found.only_second) == (12, 2)
    assert found.p == pytest.approx(stats.binomtest(12, 14).pvalue)
    assert found.difference == pytest.approx(10 / 30)
    assert found.low < found.difference < found.high
    same = compare(first, first)
    assert (same.difference, same.p) == (0.0, 1.0)
    assert "points" in str(found)
    with pytest.raises(UsageError, match="cannot be compared"):
        compare(first, second[:, :3])


@pytest.mark.parametrize("width", [0.1, 0.2])
def test_a_sequential_interval_holds_when_it_stops(width):
    random = np.random.default_rng(4)
    simulations, covered, stops = 300, 0, set()
    truth = float(stats.norm.cdf(1.0 / np.sqrt(1 + 0.7**2)))
    for _ in range(simulations):
        found = until(lambda n: answers_of(random, n, 800, by_example=0.0, by_draw=0.7), width=width, most=1024)
        covered += found.rate.low <= truth <= found.rate.high
        stops.add(found.draws)
        assert not found.reached or found.rate.high - found.rate.low <= width
    assert covered / simulations >= 0.93
    assert len(stops) > 1  # it stopped where it was narrow, and not always at the same place


def test_what_the_examples_leave_no_draw_takes_away():
    random = np.random.default_rng(5)
    levels = 3 * random.standard_normal(40)
    asked = []

    def more(count):
        asked.append(count)
        return answers_of(random, count, 40, by_draw=0.1, levels=levels)

    found = until(more, width=0.02)
    assert not found.reached
    assert found.by_examples > 0.02
    assert sum(asked) == found.draws == 32
    for wrong in ({"width": 0}, {"width": 0.1, "first": 1}, {"width": 0.1, "deployment": "mean-4"}):
        with pytest.raises(UsageError, match="cannot reach a width"):
            until(more, **wrong)
