"""Intervals of metrics: coverage by simulation, a perfect and a rare class, reproducibility, and means."""

import numpy as np
import pytest
import torch

from variate.metrics.measure import kept, measure
from variate.statistics.comparison import compare
from variate.statistics.rates import clopper_pearson

SIMULATIONS = 40
CLASSES_MISSED = 7  # of 40 at 95 %: more have a probability of 0.0004


def coin_answers(seed, *, shares=(0.9, 0.6), examples=(120, 40), draws=8, spread=0.3):
    """Outputs of coin networks: an answer to class k is right with a share that varies over examples and draws.

    The true recall of each class is that of its mean share: a beta over examples, moved by a normal of each draw.
    """
    generator = np.random.default_rng(seed)
    y = np.repeat([0, 1], examples)
    logits = np.log(np.array(shares) / (1 - np.array(shares)))[y]
    own = logits + generator.normal(0, 1.0, len(y)) + generator.normal(0, spread, (draws, 1))
    right = generator.random((draws, len(y))) < 1 / (1 + np.exp(-own))
    answer = np.where(right, y, 1 - y)
    return torch.nn.functional.one_hot(torch.from_numpy(answer), 2).float() * 4, torch.from_numpy(y)


def truth(name, *, spread=0.3):
    """The metric of very many draws and examples."""
    values = []
    for seed in range(4):
        outputs, y = coin_answers(1000 + seed, examples=(7500, 2500), draws=60, spread=spread)
        answer, labels = outputs.argmax(-1).numpy(), y.numpy()
        recall = [(answer[:, labels == k] == k).mean() for k in (0, 1)]
        precision = 0.25 * recall[1] / (0.25 * recall[1] + 0.75 * (1 - recall[0]))
        found = {
            "balanced-accuracy": np.mean(recall),
            "f-beta": 2 * precision * recall[1] / (precision + recall[1]),
            "accuracy": 0.75 * recall[0] + 0.25 * recall[1],
        }
        values.append(found[name])
    return float(np.mean(values))


@pytest.mark.parametrize("name", ["balanced-accuracy", "f-beta", "accuracy"])
def test_the_interval_holds_the_truth_of_coin_networks(name):
    value = truth(name)
    missed, width = 0, []
    for seed in range(SIMULATIONS):
        found = measure("classes", *coin_answers(seed), names=name, seed=seed)[0]
        missed += not found.low <= value <= found.high
        width.append(found.high - found.low)
    assert missed <= CLASSES_MISSED
    assert np.mean(width) < 0.3  # it says something


def test_the_interval_of_the_difference_holds_no_difference():
    missed = 0
    for seed in range(SIMULATIONS):
        (outputs, y), (twin, _) = coin_answers(seed), coin_answers(seed + 5000, draws=1, spread=0)
        own, _ = coin_answers(seed + 9000, spread=0)
        found = kept("classes", own, twin, y, names="balanced-accuracy", seed=seed)[0]
        missed += not found.low <= 0 <= found.high
        assert outputs.shape == own.shape
    assert missed <= CLASSES_MISSED


def test_numbers():
    missed = 0
    for seed in range(SIMULATIONS):
        generator = torch.Generator().manual_seed(seed)
        y = torch.randn(80, generator=generator)
        outputs = y + torch.randn(10, 80, generator=generator) + 0.3 * torch.randn(10, 1, generator=generator)
        found = measure("regression(tolerance=1)", outputs[..., None], y, names="rmse", seed=seed)[0]
        missed += not found.low <= 1.09**0.5 <= found.high
    assert missed <= CLASSES_MISSED


def test_a_rare_class_without_errors_has_an_interval():
    """Ten examples of a rare class are all right: resamples vary by the frequent one alone."""
    y = torch.tensor([0] * 490 + [1] * 10)
    answer = y.clone()
    answer[:5] = 1
    outputs = torch.nn.functional.one_hot(answer, 2)[None].float()
    found = measure("classes", outputs, y, names="balanced-accuracy")[0]
    assert found.value == pytest.approx((485 / 490 + 1) / 2)
    at_most = (1 + clopper_pearson(10, 10)[0]) / 2
    assert at_most - 0.02 < found.low < 0.91  # a resample of the frequent class alone ends at .985


def test_a_perfect_network_has_the_interval_of_the_exact_one():
    y = torch.arange(200) % 2
    outputs = torch.nn.functional.one_hot(y, 2)[None].float()
    exact = clopper_pearson(200, 200)[0]
    assert measure("classes", outputs, y, names="accuracy")[0].low == pytest.approx(exact)
    for name in ("balanced-accuracy", "mcc", "f-beta"):
        found = measure("classes", outputs, y, names=name)[0]
        assert found.value == found.high == 1
        scale = 2 if name == "mcc" else 1
        assert 1 - found.low == pytest.approx(scale * (1 - exact), rel=0.25)


def test_perfect_masks_have_an_interval():
    y = torch.arange(2 * 16).reshape(2, 4, 4) % 2
    outputs = torch.nn.functional.one_hot(y, 2).movedim(-1, 1).flatten(1)[None].float()
    for name in ("mean-iou", "dice", "pixel-accuracy"):
        found = measure("positions", outputs, y, names=name)[0]
        assert (found.value, found.high) == (1, 1)
        assert found.low == pytest.approx(clopper_pearson(2, 2)[0])


def test_few_draws_make_the_interval_wide():
    few, many = (coin_answers(0, draws=draws, spread=1.0) for draws in (3, 48))
    width = [one.high - one.low for found in (few, many) for one in measure("classes", *found, names="mcc")]
    assert width[0] > 1.5 * width[1]


def test_a_seed_gives_the_same_interval_and_another_one_nearly():
    outputs, y = coin_answers(0)
    first, again, other = (measure("classes", outputs, y, names="mcc", seed=seed)[0] for seed in (0, 0, 1))
    assert first == again
    assert first.value == other.value
    assert (first.low, first.high) != (other.low, other.high)
    assert first.low == pytest.approx(other.low, abs=0.03)


def test_the_interval_of_the_calibration_error_is_reflected():
    """A calibrated network: chance inflates its error, and the interval reaches down to nearly none."""
    generator = torch.Generator().manual_seed(0)
    p = 0.5 + torch.rand(400, generator=generator) / 2
    y = (torch.rand(400, generator=generator) < p).long()
    outputs = torch.stack([torch.zeros(400), p.logit()], 1)[None]
    found = measure("classes", outputs, y, names="calibration-error")[0]
    assert found.value > 0.02
    assert found.low < 0.01


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (8, 4)])
def test_the_difference_of_accuracies_of_deterministic_networks_is_nearly_that_of_the_score_interval(first, second):
    y = torch.arange(200) % 2
    answers = [y.clone(), y.clone()]
    answers[0][:first] = 1 - y[:first]
    answers[1][100 : 100 + second] = 1 - y[100 : 100 + second]
    outputs = [torch.nn.functional.one_hot(answer, 2)[None].float() for answer in answers]
    found = kept("classes", *outputs, y, names="accuracy")[0]
    exact = compare(*[(answer == y).numpy()[None] for answer in answers])
    assert found.value == pytest.approx(exact.difference)
    assert found.low == pytest.approx(exact.low, abs=0.012)
    assert found.high == pytest.approx(exact.high, abs=0.012)


def test_a_difference_is_paired():
    """Two networks that err on the same examples differ by little, however unsure each metric is."""
    outputs, y = coin_answers(0, draws=1, spread=0)
    twin = outputs.clone()
    twin[0, 0] = outputs[0, 0].flip(0)
    alone = measure("classes", outputs, y, names="balanced-accuracy")[0]
    pair = kept("classes", outputs, twin, y, names="balanced-accuracy")[0]
    assert pair.low <= pair.value <= pair.high
    assert pair.high - pair.low < (alone.high - alone.low) / 2
    same = kept("classes", outputs, outputs, y, names="balanced-accuracy")[0]
    assert same.value == 0
    assert same.low < 0 < same.high  # none of the examples shows a difference
