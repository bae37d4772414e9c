"""Sequential judging: coverage whenever it stops, and what the examples leave (seeds fixed)."""

import numpy as np
import pytest
from scipy import special, stats

from variate.statistics.proved import draws_for, lowest
from variate.statistics.sequential import decided, draws_always, evidence, lowest_always, until

SIMULATIONS = 400


def network_of(random, hard, by_draw):
    """Answers of a network with chances on the normal scale."""
    return lambda count: (
        random.random((count, len(hard))) < special.ndtr(hard + by_draw * random.standard_normal((count, 1)))
    )


@pytest.mark.parametrize(
    ("center", "by_example", "by_draw", "width"),
    [(0.0, 0.0, 0.6, 0.1), (1.0, 0.3, 0.3, 0.08), (2.0, 0.3, 0.6, 0.05), (2.0, 0.3, 1.0, 0.08)],
)
def test_the_interval_holds_whenever_it_stops(center, by_example, by_draw, width):
    random, covered, stops = np.random.default_rng(0), 0, set()
    truth = float(stats.norm.cdf(center / np.sqrt(1 + by_example**2 + by_draw**2)))
    for _ in range(SIMULATIONS):
        hard = center + by_example * random.standard_normal(300)
        found = until(network_of(random, hard, by_draw), width=width, most=1024)
        covered += found.rate.low <= truth <= found.rate.high
        stops.add(found.draws)
    assert len(stops) > 1
    assert covered / SIMULATIONS >= 0.95 - 3 * (0.95 * 0.05 / SIMULATIONS) ** 0.5


def test_noise_of_few_draws_is_not_taken_for_examples():
    hard = np.full(500, 1.6)  # all alike: whatever is asked can be reached by draws
    found = until(network_of(np.random.default_rng(1), hard, 0.1), width=0.04, deployment="survive-10", most=4096)
    assert found.reached
    assert found.by_examples < 0.02
    assert "wider than requested" not in str(found)


def test_a_width_that_draws_cannot_reach_is_said():
    random = np.random.default_rng(2)
    found = until(network_of(random, 3 * random.standard_normal(40), 0.1), width=0.02)
    assert not found.reached
    assert "come from the examples" in str(found)


def test_the_bound_after_every_trial_misses_no_more_often_than_alpha():
    """It may be looked at after each of 2000 trials; that of a fixed number, looked at as often, misses far more."""
    random, alpha, n = np.random.default_rng(0), 0.05, np.arange(1, 2001)
    for p in (0.5, 0.9, 0.99):
        right = (random.random((600, 2000)) < p).cumsum(1)
        missed = (decided(right, n, p, alpha) & (right > p * n)).any(1).mean()
        assert missed <= alpha + 3 * (alpha / 600) ** 0.5
        assert (lowest(right[:, 9::20], n[9::20], alpha) > p).any(1).mean() > 2 * alpha


def test_the_bound_is_where_the_evidence_reaches_its_limit():
    k, n, alpha = np.array([0, 5, 90, 100, 100, 1000]), np.array([10, 10, 100, 100, 400, 1000]), 0.01
    low = lowest_always(k, n, alpha)
    assert low[0] == 0
    np.testing.assert_allclose(evidence(k, n, low)[1:], -np.log(alpha), atol=1e-6)
    assert (low[1:] < (k / n)[1:]).all()
    assert (decided(k, n, 0.5, alpha) == np.array([False, False, True, True, True, True])).all()
    assert (low <= lowest(k, n, alpha) + 1e-9)[1:].all()  # and a price is paid for looking


@pytest.mark.parametrize(("p", "alpha"), [(0.5, 0.001), (0.84, 0.001), (0.977, 0.001), (0.9, 0.05)])
def test_about_a_quarter_more_trials_reach_the_same(p, alpha):
    count = draws_always(p, alpha)
    assert lowest_always(count, count, alpha) >= p > lowest_always(count - 1, count - 1, alpha)
    assert draws_for(p, alpha) <= count <= 1.3 * draws_for(p, alpha) + 2
