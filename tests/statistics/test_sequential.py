"""Sequential judging: coverage whenever it stops, and what the examples leave (seeds fixed)."""

import numpy as np
import pytest
from scipy import special, stats

from variate.statistics.sequential import until

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
