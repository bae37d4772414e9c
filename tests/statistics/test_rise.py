"""How much a curve rises at its end: known slopes, and errors in units of themselves."""

import numpy as np
import pytest

from variate.statistics.rise import rise_at_end


def answers(rates, examples, seed=0):
    """Independent answers at each epoch, shape (T, B)."""
    return np.random.default_rng(seed).random((len(rates), examples)) < np.asarray(rates)[:, None]


def test_the_rise_is_that_of_the_fitted_line_over_the_last_quarter():
    epochs = np.arange(1, 41)
    thresholds = np.random.default_rng(0).permutation(1000) / 1000
    right = thresholds[None] < (0.3 + 0.01 * epochs)[:, None]  # a point every epoch, the same examples
    rise = rise_at_end(epochs, right)
    assert rise.value == pytest.approx(0.1)  # ten epochs
    assert rise.differing == 100
    slope, _ = np.polyfit(epochs[29:], right[29:].mean(1), 1)  # epoch 30 is the last before the quarter
    assert rise.value == pytest.approx(10 * slope)


def test_points_every_few_epochs_give_the_rise_of_the_same_quarter():
    thresholds = np.random.default_rng(0).permutation(1000) / 1000
    for epochs in ([40, 80], [10, 30, 50, 80], list(range(2, 81, 2))):
        right = thresholds[None] < (0.1 + 0.01 * np.asarray(epochs))[:, None]
        assert rise_at_end(epochs, right).value == pytest.approx(0.2)


def test_one_point_has_no_rise():
    assert rise_at_end([7], answers([0.5], 20)) is None


def test_an_earlier_rise_does_not_count():
    rates = [0.1, 0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6]
    thresholds = np.random.default_rng(0).permutation(100) / 100
    rise = rise_at_end(range(1, 9), thresholds[None] < np.asarray(rates)[:, None])
    assert (rise.value, rise.differing) == (0, 0)


def test_flat_curves_are_as_far_off_as_their_errors_say():
    units = [
        rise.value / rise.error
        for seed in range(400)
        if (rise := rise_at_end(range(1, 33), answers([0.6] * 32, 200, seed)))
    ]
    assert abs(np.mean(units)) < 4 / 400**0.5
    assert 0.75 < np.std(units) < 1.05  # the larger of two errors, so a little too careful


def test_epochs_that_scatter_together_are_no_rise():
    """All examples swing from epoch to epoch: the error over examples alone would be next to nothing."""
    rates = np.random.default_rng(1).uniform(0.4, 0.6, 12)
    thresholds = np.linspace(0, 1, 1000)
    right = thresholds[None] < np.asarray([*[0.5] * 20, *rates])[:, None]
    rise = rise_at_end(range(1, 33), right)
    assert abs(rise.value) < 3 * rise.error
    assert rise.error > 0.02
