"""Accuracy against coverage: enumeration, thresholds from other examples, and the interval of the area."""

import numpy as np
import pytest

from variate.errors import UsageError
from variate.statistics.selective import at_threshold, selective, threshold


def test_the_area_is_the_mean_error_rate_over_all_thresholds():
    generator = np.random.default_rng(0)
    certainty = generator.integers(0, 12, 50) / 12  # with ties
    right = generator.random(50) < certainty
    risks = [(~right)[certainty >= level].mean() for level in certainty]
    found = selective(certainty, right)
    assert found.area == pytest.approx(np.mean(risks))
    assert found.low < found.area < found.high
    assert found.errors == pytest.approx((~right).mean())
    k, n = int((~right).sum()), 50
    assert found.best == pytest.approx(sum(i / (n - k + i) for i in range(1, k + 1)) / n)
    assert found.best < found.area < found.errors


def test_points_answer_ties_together_and_end_with_everything():
    certainty = np.array([0.9] * 3 + [0.5] * 5 + [0.1] * 2)
    right = np.array([1, 1, 1, 1, 1, 0, 0, 1, 0, 0], dtype=bool)
    points = selective(certainty, right).points
    assert [(point.coverage, point.right, point.examples) for point in points] == [
        (0.3, 3, 3),
        (0.8, 6, 8),
        (1.0, 6, 10),
    ]
    assert points[0].low == pytest.approx(0.025 ** (1 / 3))  # three of three
    assert points[0].high == 1.0
    assert len(selective(np.linspace(0, 1, 1000), np.ones(1000, dtype=bool)).points) == 20


def test_the_ends():
    certainty = np.linspace(0, 1, 40)
    never, always = (selective(certainty, np.full(40, value)) for value in (False, True))
    assert (always.area, always.low, always.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 40)))
    assert (never.area, never.high, never.low) == (1.0, 1.0, pytest.approx(0.025 ** (1 / 40)))
    same = selective(np.ones(40), certainty > 0.3)
    assert same.area == pytest.approx(same.errors)  # a certainty that tells nothing


def test_a_threshold_comes_from_validation_and_is_judged_elsewhere():
    generator = np.random.default_rng(1)
    validation, test = generator.random(400), generator.random(1000)
    right = generator.random(1000) < test
    least = threshold(validation, 0.25)
    assert (validation >= least).sum() == 100
    found = at_threshold(test, right, least)
    assert found.examples == (test >= least).sum() != 250
    assert found.right == right[test >= least].sum()
    assert found.coverage == pytest.approx(0.25, abs=0.05)
    assert found.low < 0.875 < found.high  # the mean of U(0.75, 1)
    nothing = at_threshold(test, right, 2.0)
    assert (nothing.coverage, nothing.examples, nothing.low, nothing.high) == (0.0, 0, 0.0, 1.0)
    assert np.isnan(nothing.accuracy)


@pytest.mark.parametrize("examples", [40, 150])
def test_the_interval_covers_the_area_of_many(examples):
    generator = np.random.default_rng(2)
    many = generator.beta(4, 1, 400_000)
    truth, trials, covered = selective_area_of_many(many), 100, 0
    for _ in range(trials):
        certainty = generator.beta(4, 1, examples)
        found = selective(certainty, generator.random(examples) < certainty)
        covered += found.low <= truth <= found.high
    assert covered / trials > 0.95 - 5 * (0.95 * 0.05 / trials) ** 0.5


def selective_area_of_many(certainty):
    """The expected area where an answer is right with the probability that is its certainty."""
    errors = 1 - np.sort(certainty)[::-1]
    return float((errors.cumsum() / np.arange(1, len(errors) + 1)).mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: selective(np.ones(3), np.ones(3)), "bits, not scores"),
        (lambda: selective(np.ones(3), np.ones(2, dtype=bool)), "one certainty for each answer"),
        (lambda: selective(np.ones(0), np.ones(0, dtype=bool)), "at least one answer"),
        (lambda: threshold(np.ones(0), 0.5), "validation examples"),
        (lambda: threshold(np.ones(3), 0.0), "the coverage is 0.0"),
        (lambda: threshold(np.ones(3), 1.5), "the coverage is 1.5"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(UsageError, match=message):
        call()
