"""Comparisons of two networks: the score interval against a slow twin, and coverage by simulation (seeds fixed)."""

import numpy as np
import pytest
from scipy import optimize, stats

from variate.errors import UsageError
from variate.statistics.comparison import SMALLEST_P, compare
from variate.statistics.rates import Deployment, rate_of

SIMULATIONS = 400


def pair_of(only_first, only_second, examples):
    """Two deterministic networks with so many examples that one of them alone gets right."""
    first, second = np.ones((2, 1, examples), dtype=bool)
    second[0, :only_first] = False
    first[0, only_first : only_first + only_second] = False
    return first, second


def tango_by_maximization(only_first, only_second, examples, level=0.95):
    """The score interval with the constrained likelihood maximized step by step."""
    counts = np.array([only_first, only_second, examples - only_first - only_second])

    def score(gap):
        def loss(second):
            shares = np.array([second + gap, second, 1 - 2 * second - gap])
            return -(counts * np.log(np.maximum(shares, 1e-300))).sum()

        bounds = (max(0, -gap), (1 - gap) / 2)
        second = optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        return (only_first - only_second - examples * gap) / np.sqrt(examples * (2 * second + gap - gap**2))

    found, limit = (only_first - only_second) / examples, stats.norm.ppf((1 + level) / 2)
    return (
        optimize.brentq(lambda gap: score(gap) - limit, -0.9999, found - 1e-7),
        optimize.brentq(lambda gap: score(gap) + limit, found + 1e-7, 0.9999),
    )


@pytest.mark.parametrize("counts", [(12, 2, 50), (5, 0, 100), (0, 5, 100), (1, 1, 50), (40, 3, 44)])
def test_two_deterministic_networks_get_the_score_interval(counts):
    found = compare(*pair_of(*counts))
    assert (found.low, found.high) == pytest.approx(tango_by_maximization(*counts), abs=1e-6)


def test_networks_that_answer_alike_may_still_differ():
    found = compare(*pair_of(0, 0, 200))
    limit = stats.norm.ppf(0.975) ** 2
    assert (found.low, found.high) == pytest.approx((-limit / (200 + limit), limit / (200 + limit)))
    random = np.ones((20, 200), dtype=bool)
    found = compare(random, random)
    assert found.low < -0.1  # 20 draws that are all right say no more
    assert found.high > 0.1
    assert compare(*pair_of(0, 30, 30)).low == -1.0


@pytest.mark.parametrize(
    ("only_first", "only_second", "examples"),
    [(0.05, 0.05, 100), (0.02, 0.0, 100), (0.1, 0.05, 50), (0.1, 0.05, 500), (0.003, 0.003, 1000), (0.3, 0.1, 50)],
)
def test_the_score_interval_covers(only_first, only_second, examples):
    random, covered = np.random.default_rng(0), 0
    for _ in range(SIMULATIONS):
        count = random.multinomial(examples, [only_first, only_second, 1 - only_first - only_second])
        found = compare(*pair_of(int(count[0]), int(count[1]), examples))
        covered += found.low <= only_first - only_second <= found.high
    assert covered / SIMULATIONS >= 0.93 - 3 * (0.93 * 0.07 / SIMULATIONS) ** 0.5


def answers_of(random, center, hard, by_draw, draws):
    spread = by_draw * random.standard_normal((draws, 1)) if draws > 1 else 0.0
    return random.random((draws, len(hard))) < stats.norm.cdf(center + hard + spread)


@pytest.mark.parametrize(
    ("centers", "by_draw", "draws", "examples"),
    [
        ((1.0, 1.0), (0.0, 0.0), (40, 40), 100),
        ((1.0, 0.5), (0.2, 0.2), (20, 60), 200),
        ((1.0, 0.5), (0.6, 0.6), (20, 20), 100),
        ((2.2, 1.5), (0.6, 0.2), (20, 100), 100),
        ((2.2, 2.2), (0.6, 0.6), (20, 20), 100),
        ((1.5, 1.0), (0.5, 0.0), (30, 1), 200),  # against a deterministic network
    ],
)
def test_the_studentized_interval_covers(centers, by_draw, draws, examples):
    random, covered = np.random.default_rng(1), 0
    spreads = [np.sqrt(1 + 0.5**2 + (by if n > 1 else 0.0) ** 2) for by, n in zip(by_draw, draws, strict=True)]
    truth = float(np.subtract(*stats.norm.cdf(np.array(centers) / spreads)))
    for seed in range(SIMULATIONS):
        hard = 0.5 * random.standard_normal(examples)
        pair = [answers_of(random, *network) for network in zip(centers, (hard, hard), by_draw, draws, strict=True)]
        found = compare(*pair, seed=seed)
        covered += found.low <= truth <= found.high
    share = covered / SIMULATIONS
    assert 0.93 - 3 * (0.93 * 0.07 / SIMULATIONS) ** 0.5 <= share <= 0.97 + 3 * (0.97 * 0.03 / SIMULATIONS) ** 0.5


def test_a_seed_gives_the_same_interval_and_leaves_the_global_state():
    random = np.random.default_rng(2)
    one, two = random.random((2, 20, 50)) < 0.7
    before = np.random.get_state()[1].copy()
    first, again, other = (compare(one, two, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert np.array_equal(before, np.random.get_state()[1])


def test_the_order_of_networks_only_turns_the_sign():
    random = np.random.default_rng(3)
    one, two = (random.random((25, 80)) < share for share in (0.9, 0.7))
    there, back = compare(one, two), compare(two, one)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.02)
    assert there.p == back.p


def test_p_and_the_interval_speak_of_the_same_difference():
    draw = np.random.default_rng(0)
    twin = np.ones((1, 400), dtype=bool)
    network = np.ones((160, 400), dtype=bool)
    network[:, :40] = draw.random((160, 40)) < 0.75  # right about 40 examples in three draws of four
    found = compare(network, twin)
    assert found.high < 0
    assert found.p < 0.01


@pytest.mark.parametrize("seed", range(6))
def test_p_is_the_error_at_which_the_interval_reaches_zero(seed):
    draw = np.random.default_rng(seed)
    first, second = (draw.random((20, 100)) < draw.random((20, 1)) * 0.1 + rate for rate in (0.6, 0.62 + seed / 100))
    p = compare(first, second).p
    assert SMALLEST_P <= p <= 1
    for error, excludes in ((p * 1.05, True), (p * 0.95, False)):
        if SMALLEST_P < error < 1:
            found = compare(first, second, level=1 - error)
            assert (found.low > 0 or found.high < 0) == excludes


def test_repeated_answers_of_one_network_seldom_differ_and_of_two_do():
    """The difference of survive-10 holds 0 in about 95 of 100 cases where nothing differs; it is the two rates'."""
    rng = np.random.default_rng(0)
    single, survive = Deployment("single", 1), Deployment("survive", 10)
    held, simulations = 0, 100
    for _ in range(simulations):
        chances = rng.beta(6, 1, 80)
        first, second = (rng.random((64, 80)) < chances for _ in range(2))
        found = compare(first, second, repeated=10)
        held += found.low <= 0 <= found.high
    assert held / simulations >= 0.87
    assert found.difference == pytest.approx(rate_of(survive, first).rate - rate_of(survive, second).rate)
    assert compare(first, second).difference == pytest.approx(
        rate_of(single, first).rate - rate_of(single, second).rate
    )
    noisier = second & (rng.random(second.shape) < 0.9)
    assert compare(first, noisier, repeated=10).low > 0.1
    with pytest.raises(UsageError):
        compare(first, second, paired_draws=True, repeated=10)
