"""Losses of logits of any size, and of logits that rule classes out."""

import pytest
import torch
from torch.nn import functional as F

from variate.attacks.parts.boundaries import gap
from variate.attacks.parts.lengths import lengths, unit
from variate.attacks.parts.ranking import WON, ranked, squashed
from variate.oracle.averaging import AVERAGES, loss_of, pull_back
from variate.oracle.losses import bounded, cross_entropy, divergence, dlr, dlr_targeted, margin, unit_of
from variate.random.average import mean_log_probabilities

K = 5
LOGITS = torch.randn(6, K, generator=torch.Generator().manual_seed(0))
Y = torch.arange(6) % 3
PAIRS = Y * K + (Y + 1) % 3  # labels and targets, none of them ruled out below
LOSSES = {"cross-entropy": (cross_entropy, Y), "margin": (margin, Y), "dlr": (dlr, Y)}
LOSSES |= {"targeted": (dlr_targeted, PAIRS), "gap": (gap, PAIRS)}


def slope(loss, logits, y):
    leaf = logits.clone().requires_grad_(True)
    value = loss(leaf, y)
    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


def test_ordinary_logits_have_the_ordinary_cross_entropy():
    assert torch.allclose(cross_entropy(LOGITS, Y), F.cross_entropy(LOGITS, Y, reduction="none"), atol=1e-6)
    assert bounded(LOGITS) is LOGITS
    assert unit_of(LOGITS) == 1.0


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e20, 1e30])
def test_the_cross_entropy_of_confident_logits_keeps_its_order_and_direction(scale):
    rows = scale * torch.tensor([[2.0, 1.0, 0.0], [3.0, 1.0, 0.0], [4.0, 1.0, 0.0]])
    value, gradient = slope(cross_entropy, rows, torch.zeros(3, dtype=torch.long))
    assert value.diff().lt(0).all()  # the more confident, the smaller
    assert torch.equal(gradient.sign(), torch.tensor([[-1.0, 1.0, 0.0]]).expand(3, 3))


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
@pytest.mark.parametrize("name", ["dlr", "targeted"])
def test_ratios_of_logits_have_no_unit(name, scale):
    loss, labels = LOSSES[name]
    assert torch.allclose(loss(scale * LOGITS, labels), loss(LOGITS, labels), rtol=1e-4)
    assert torch.allclose(scale * slope(loss, scale * LOGITS, labels)[1], slope(loss, LOGITS, labels)[1], rtol=1e-3)


def masked(rows, classes):
    logits = LOGITS.clone()
    logits[rows, classes] = -torch.inf
    return logits


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [[4], [3, 4]])
def test_classes_that_are_ruled_out_play_no_part_in_a_direction(name, classes):
    loss, labels = LOSSES[name]
    value, gradient = slope(loss, masked(slice(None), classes), labels)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert gradient[:, classes].eq(0).all()
    right = masked(slice(None), classes).argmax(1) == Y  # elsewhere a ratio may be constant
    assert gradient[right, :3].ne(0).any(1).all()
    reduced = labels if labels is Y else Y * 3 + (Y + 1) % 3  # pairs count by the number of classes
    few = slope(margin if name in ("dlr", "margin") else loss, LOGITS[:, :3], reduced)[1]
    if name in ("cross-entropy", "margin", "gap") and len(classes) == 2:
        assert torch.allclose(gradient[:, :3], few, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_label_that_is_ruled_out_or_alone_has_no_nan(name):
    loss, labels = LOSSES[name]
    every = torch.arange(6)
    own, others = masked(every, Y), torch.full_like(LOGITS, -torch.inf).scatter(1, Y[:, None], 1.0)
    for logits in (own, others):
        value, gradient = slope(loss, logits, labels)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
    assert loss(own, labels).gt(0).all()


@pytest.mark.parametrize("average", [name for name in AVERAGES if name not in ("majority", "zero-one")])
def test_averages_over_draws_that_rule_classes_out_have_gradients(average):
    draws = torch.stack([masked(slice(None), [4]), masked(slice(None), [3, 4])])  # (2, 6, K)
    value, gradient = pull_back(draws, lambda draws: loss_of(draws, Y, cross_entropy, average))
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert mean_log_probabilities(draws)[:, 4].eq(-torch.inf).all()


def test_the_divergence_of_what_is_ruled_out():
    logits = masked(slice(None), [4])
    probabilities = logits.softmax(1)
    assert torch.allclose(divergence(logits, probabilities), torch.zeros(6), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-3])
def test_logits_too_small_to_tell_apart_get_a_unit(scale):
    unit_found = unit_of(scale * LOGITS)
    scaled = scale * LOGITS * unit_found
    assert 0.01 <= float((scaled.amax(1) - scaled.amin(1)).max()) < 0.05 or unit_found == 1.0
    assert unit_of(torch.zeros(2, 3)) is None


def test_a_rank_puts_a_success_above_every_loss():
    assert squashed(torch.tensor([3.0, -7.0])).tolist() == [3.0, -7.0]
    large = torch.tensor([-1e30, -1e12, -250.0, 0.0, 250.0, 1e12, 1e30])
    assert squashed(large).diff().gt(0).all()
    assert squashed(large).abs().max() < WON
    draws = 1e30 * torch.tensor([[[2.0, 1.0]], [[1.0, 2.0]], [[1.0, 2.0]]])
    rank = ranked(margin)
    assert rank(draws[1], torch.tensor([0])) > rank(draws[0], torch.tensor([0])) + WON / 2


@pytest.mark.parametrize("scale", [1e-38, 1e-25, 1.0, 1e30])
def test_lengths_neither_underflow_nor_overflow(scale):
    values = torch.tensor([[3.0, -4.0], [0.0, 0.0]])
    for order, expected in ((2, 5.0), (1, 7.0), (float("inf"), 4.0)):
        assert torch.allclose(lengths(scale * values, order), torch.tensor([scale * expected, 0.0]), rtol=1e-5)
        assert torch.allclose(unit(scale * values, order), values / expected, rtol=1e-5)
