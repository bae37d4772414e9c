"""Rates and their intervals: known values, brute force, and coverage by simulation (seeds fixed)."""

from itertools import combinations

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss

from variate.errors import UsageError
from variate.rates import Deployment, Rate, clopper_pearson, rate_of

ALL = ("single", "mean-16", "majority-16", "survive-10")
SIMULATIONS = 1000  # a coverage of 95 % is then known to within 0.7 points (one standard error)


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


@pytest.mark.parametrize("way", ["single", "mean-2", "survive-2", "survive-5"])
@pytest.mark.parametrize(
    ("draws", "examples", "center", "by_example", "by_draw"),
    [
        (40, 200, 1.0, 2.0, 0.0),
        (40, 200, 1.0, 2.0, 0.5),
        (40, 60, 0.0, 0.5, 1.0),
        (160, 100, 2.0, 1.0, 0.3),
        (20, 400, -1.0, 3.0, 1.0),
    ],
)
def test_intervals_cover_the_truth(way, draws, examples, center, by_example, by_draw):
    way = Deployment.parse(way)
    truth = float(true_rate(way, center, by_example, by_draw))
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(SIMULATIONS):
        level = center + by_example * random.standard_normal(examples) + by_draw * random.standard_normal((draws, 1))
        rate = rate_of(way, random.random((draws, examples)) < chance(level))
        covered += rate.low <= truth <= rate.high
    assert 0.93 <= covered / SIMULATIONS <= 0.975


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
    draws = 20 * 16 if way in ("mean-16", "majority-16") else 20
    assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / draws), rel=1e-6)


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
