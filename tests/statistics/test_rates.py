"""Rates and their intervals: known values, brute force, and coverage by simulation (seeds fixed)."""

import sys
from itertools import combinations

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy import optimize

from variate.errors import UsageError
from variate.statistics.crossed import Crossed, crossed
from variate.statistics.rates import SEEN, Deployment, Rate, clopper_pearson, interval, rate_of, survive_curve
from variate.statistics.survival import all_right

ALL = ("single", "mean-16", "majority-16", "survive-10")
SINGLE = Deployment.parse("single")
SIMULATIONS = 400  # a coverage of 95 % is then known to within 1.1 points (one standard error)


# Clopper and Pearson 1934; Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 5
@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
        (20, 20, 1 - 0.1684, 1.0),
    ],
)
def test_clopper_pearson_equals_published_values(right, total, low, high):
    assert clopper_pearson(right, total) == pytest.approx((low, high), abs=5e-5)


def test_a_deterministic_network_gets_the_binomial_interval_of_its_examples():
    answers = np.arange(200)[None, :] < 150
    found = rate_of(Deployment.parse("single"), answers)
    assert found.rate == 0.75
    assert (found.low, found.high) == pytest.approx(clopper_pearson(150, 200), abs=0.003)


@pytest.mark.parametrize("right", [0, 1, 150, 199, 200])
def test_every_deployment_of_a_deterministic_network_is_the_same(right):
    answers = np.arange(200)[None, :] < right
    single = rate_of(Deployment.parse("single"), answers)
    assert all(rate_of(Deployment.parse(way), answers) == single for way in ALL)


def quadrature(function, spread):
    nodes, weights = hermegauss(80)
    return np.tensordot(weights / weights.sum(), function(spread * nodes), axes=(0, 0))


def chance(level):
    return 1 / (1 + np.exp(-level))


def true_rate(way, center, by_example, by_draw):
    """E over examples of (E over draws of the chance to be right)^N, on a grid of both."""
    size = way.size if way.rule == "survive" else 1
    return quadrature(
        lambda a: quadrature(lambda b: chance(center + a[None] + b[:, None]), by_draw) ** size, by_example
    )


def center_of(rate, by_example, by_draw, way=SINGLE):
    return optimize.brentq(lambda center: true_rate(way, center, by_example, by_draw) - rate, -60, 60)


def coverage(ways, rate, by_example, by_draw, shape, *, seed=7, rate_of_way=SINGLE):
    """How many of SIMULATIONS intervals hold the truth, by deployment; ``rate`` is that of one of them."""
    draws, examples = shape
    center = center_of(rate, by_example, by_draw, rate_of_way)
    truths = {way: float(true_rate(way, center, by_example, by_draw)) for way in ways}
    random = np.random.default_rng(seed)
    covered = dict.fromkeys(ways, 0)
    for _ in range(SIMULATIONS):
        examples_part = center + by_example * random.standard_normal(examples, dtype=np.float32)
        level = examples_part + by_draw * random.standard_normal((draws, 1), dtype=np.float32)
        answers = random.random((draws, examples), dtype=np.float32) < chance(level)
        for way, truth in truths.items():
            found = rate_of(way, answers)
            covered[way] += found.low <= truth <= found.high
    return covered


def within(covered, low, high, simulations=SIMULATIONS):
    """Whether a coverage is between two bounds, each with three binomial standard errors to spare."""
    spare = [3 * (p * (1 - p) / simulations) ** 0.5 for p in (low, high)]
    return low - spare[0] <= covered / simulations <= high + spare[1]


# spread over examples, in logits, and (draws, examples)
SITUATIONS = [(0.5, (20, 50)), (2.0, (20, 400)), (0.5, (60, 150)), (2.0, (200, 50))]
EFFECTS = {"none": 0.0, "weak": 0.3, "strong": 1.0}  # of the draws, in logits
RATES = [0.5, 0.8, 0.95]


@pytest.mark.parametrize("effect", EFFECTS)
def test_intervals_of_95_percent_cover_93_to_97_percent(effect):
    ways = [Deployment.parse(way) for way in ("single", "survive-5")]
    total = dict.fromkeys(ways, 0)
    cells = [(rate, by_example, shape) for rate in RATES for by_example, shape in SITUATIONS]
    for rate, by_example, shape in cells:
        found = coverage(ways, rate, by_example, EFFECTS[effect], shape)
        # survive-5 of 20 draws: the jackknife counts a little too much, and it is conservative
        for way, most in zip(ways, (0.97, 0.98), strict=True):
            few_wrong = (1 - rate) * shape[1] < SEEN  # then it is as wide as these examples alone allow
            most_here = 1.0 if few_wrong else most
            assert within(found[way], 0.93, most_here), (str(way), rate, by_example, shape, found[way] / SIMULATIONS)
            total[way] += found[way]
    for count in total.values():
        assert within(count, 0.945, 0.98, SIMULATIONS * len(cells)), count / SIMULATIONS / len(cells)


@pytest.mark.parametrize("shape", [(160, 20), (160, 100), (40, 300)])
@pytest.mark.parametrize("by_example", [0.5, 2.0])
@pytest.mark.parametrize(("way", "rate"), [
    ("survive-10", 0.0001), ("survive-10", 0.0009), ("survive-10", 0.01), ("survive-5", 0.001), ("single", 0.001),
    ("single", 0.99), ("single", 0.999),
])  # fmt: skip
def test_intervals_near_zero_and_one_cover(way, rate, by_example, shape, monkeypatch):
    """Of survive-10 at .0009, 40 % did: the few examples that survive are seldom among those that were tried."""
    monkeypatch.setattr(sys.modules[__name__], "SIMULATIONS", 100)
    deployment = Deployment.parse(way)
    (found,) = coverage([deployment], rate, by_example, 0.5, shape, rate_of_way=deployment).values()
    assert within(found, 0.95, 1.0, 100), found


def test_the_ends_near_zero_are_those_of_the_examples():
    """One of 100 examples survives now and then: its spread says nothing of the other examples that there are."""
    answers = np.random.default_rng(0).random((160, 100)) < np.array([0.5, *[0.01] * 99])
    found = rate_of(Deployment.parse("survive-10"), answers)
    assert 0 < found.rate < 1e-4
    assert found.high > 0.03  # that of 0 of 100: 0.036


@pytest.mark.parametrize(
    ("rate", "by_draw", "shape"), [(0.8, 0.3, (20, 1000)), (0.95, 1.0, (20, 1000)), (0.5, 0.3, (200, 1000))]
)
def test_intervals_cover_with_many_examples(rate, by_draw, shape):
    (found,) = coverage([Deployment.parse("single")], rate, 1.0, by_draw, shape).values()
    assert within(found, 0.93, 0.97)


def test_draws_that_are_seldom_bad_and_then_very_bad_are_covered():
    (found,) = coverage([Deployment.parse("single")], 0.95, 0.5, 2.0, (20, 400)).values()
    assert within(found, 0.93, 0.97)  # 0.89 without the removal of skewness


@pytest.mark.parametrize("draws", [20, 160])
@pytest.mark.parametrize("by_example", [0.5, 2.0])
@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_intervals_of_ten_examples_cover(rate, by_example, draws):
    (found,) = coverage([Deployment.parse("single")], rate, by_example, 0.5, (draws, 10)).values()
    assert within(found, 0.93, 0.98), found / SIMULATIONS


def test_an_interval_of_ten_examples_does_not_reach_everything():
    """One example of ten is right, and a few now and then: the ends of Hall's interval ran to 100 %."""
    answers = np.random.default_rng(0).random((160, 10)) < np.array([1.0, 0.3, 0.2, 0.1, *[0.02] * 6])
    found = rate_of(Deployment.parse("single"), answers)
    assert 0.15 < found.rate < 0.2
    assert 0.4 < found.high < 0.65


@pytest.mark.parametrize("way", ["survive-20", "survive-50", "survive-100"])
@pytest.mark.parametrize(("rate", "by_example", "by_draw"), [(0.95, 2.0, 0.0), (0.95, 2.0, 1.0), (0.995, 0.5, 0.5)])
def test_long_survival_is_covered(way, rate, by_example, by_draw):
    (found,) = coverage([Deployment.parse(way)], rate, by_example, by_draw, (160, 100)).values()
    assert within(found, 0.93, 0.98)


@pytest.mark.parametrize(("groups", "rate"), [(6, 0.95), (20, 0.95), (20, 0.99)])
def test_groups_that_are_all_right_at_once_are_no_more_than_groups(groups, rate):
    random = np.random.default_rng(8)
    covered = 0
    for _ in range(SIMULATIONS):
        found = rate_of(Deployment.parse("mean-16"), np.repeat(random.random((groups, 1)) < rate, 50, axis=1))
        covered += found.low <= rate <= found.high
    assert covered / SIMULATIONS >= 0.93


def test_a_curve_equals_its_single_rates_and_holds_for_thousands_of_draws():
    random = np.random.default_rng(9)
    answers = random.random((30, 40)) < random.random(40)
    curve = survive_curve(answers)
    assert list(curve) == list(range(1, 30))
    for size in (1, 2, 10, 29):
        alone = rate_of(Deployment("survive", size), answers)
        assert [curve[size].rate, curve[size].low, curve[size].high] == pytest.approx(
            [alone.rate, alone.low, alone.high]
        )
    large = survive_curve(random.random((10000, 20)) < 0.999)
    assert large[100].rate == pytest.approx(0.999**100, abs=0.01)
    assert large[100].low < 0.999**100 < large[100].high


@pytest.mark.parametrize("size", [1, 3, 6])
def test_the_spread_over_draws_is_that_of_the_jackknife(size):
    answers = np.random.default_rng(10).random((12, 9)) < 0.8
    found = crossed(answers, [size])[0]
    without = [rate_of(Deployment("survive", size), np.delete(answers, row, axis=0)).rate for row in range(12)]
    assert found.by_draw == pytest.approx(11 / 12 * np.square(without - np.mean(without)).sum())
    rows = [all_right(np.delete(answers, row, axis=0).sum(0).astype(float), 11, size) for row in range(12)]
    values = 12 * found.per_example - 11 * np.stack(rows)  # the pseudo-values: (n, B)
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    assert found.residual == pytest.approx(np.square(rest).sum() / (11 * 8) / (12 * 9))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_survival_equals_the_share_of_all_subsets(size):
    answers = np.random.default_rng(0).random((7, 4)) < 0.7
    subsets = [answers[list(chosen)].all(0) for chosen in combinations(range(7), size)]
    found = rate_of(Deployment.parse(f"survive-{size}"), answers)
    assert found.rate == pytest.approx(np.mean(subsets))


def test_survival_is_unbiased():
    random = np.random.default_rng(1)
    estimates = [rate_of(Deployment.parse("survive-4"), random.random((6, 50)) < 0.8).rate for _ in range(400)]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - 0.8**4) < 4 * error


def test_survival_needs_more_draws_than_it_asks():
    with pytest.raises(UsageError, match="survive-5 cannot be estimated from 5 draws"):
        rate_of(Deployment.parse("survive-5"), np.ones((5, 3), dtype=bool))


def test_draws_shared_by_all_examples_widen_the_interval():
    random = np.random.default_rng(2)
    shared = np.repeat(random.random((50, 1)) < 0.5, 400, axis=1)
    own = random.random((50, 400)) < 0.5
    widths = [rate.high - rate.low for rate in (rate_of(Deployment.parse("single"), bits) for bits in (shared, own))]
    assert widths[0] == pytest.approx(2 * 1.96 * 0.5 / 50**0.5, rel=0.1)  # as if there were one example
    assert widths[1] < 0.1 * widths[0]


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("way", ALL)
def test_all_right_or_all_wrong_keeps_the_uncertainty_of_the_smaller_sample(way, share):
    found = rate_of(Deployment.parse(way), np.full((20, 1000), bool(share)))
    assert found.rate == share
    assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 2), (2, 2), (30, 1), (1, 30)])
@pytest.mark.parametrize("seed", range(4))
def test_small_matrices_have_intervals_around_their_rates(shape, seed):
    found = rate_of(Deployment.parse("single"), np.random.default_rng(seed).random(shape) < 0.5)
    assert 0 <= found.low <= found.rate <= found.high <= 1
    assert found.high - found.low > 0.1


def test_a_higher_level_is_wider():
    answers = np.random.default_rng(3).random((20, 50)) < 0.7
    widths = [
        rate.high - rate.low
        for rate in (rate_of(Deployment.parse("single"), answers, level=p) for p in (0.8, 0.95, 0.99))
    ]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3


@pytest.mark.parametrize(
    ("text", "rule", "size", "source"),
    [
        ("single", "single", 1, "single"),
        ("mean-16", "mean", 16, "mean-16"),
        ("majority-3", "majority", 3, "majority-3"),
        ("survive-10", "survive", 10, "single"),
    ],
)
def test_deployments_are_read_and_written(text, rule, size, source):
    way = Deployment.parse(text)
    assert (way.rule, way.size, way.source, str(way)) == (rule, size, source, text)
    assert Deployment.parse(way) is way


@pytest.mark.parametrize(
    "text", ["", "single-2", "mean", "mean-0", "mean--1", "mean-x", "survive-1.5", "vote-3", "mean-²"]
)
def test_deployments_that_do_not_exist(text):
    with pytest.raises(UsageError):
        Deployment.parse(text)


def test_rates_are_written_in_percent():
    assert str(Rate(0.5, 0.25, 0.755)) == "50.0 [25.0, 75.5]"


@pytest.mark.parametrize("size", [1e-3, 1e-120, 1e-200])
def test_tiny_rates_have_the_interval_of_larger_ones(size):
    values = size * np.array([1.0, 2.0, 3.0, 4.0])
    mean = Crossed(values, values.mean(keepdims=True), 0.0)
    assert mean.carriers == pytest.approx(100 / 30)
    assert not mean.variance or mean.freedom == pytest.approx(3)
    found = interval(mean)
    assert found.low <= found.rate <= found.high
