"""What an attack sees of other tasks than classes: two logits, whose gradient is that of the margin."""

import pytest
import torch
from torch import nn

import variate
from variate.oracle.losses import cross_entropy, margin
from variate.oracle.view import View
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.tasks.task import task_of

X = torch.rand(6, 4, generator=torch.Generator().manual_seed(0))
Y = torch.linspace(-1, 1, 6)
TASK = task_of("regression(tolerance=0.2)")
ZERO = torch.zeros(6, dtype=torch.long)


def oracle_of(network, **options):
    return GradientOracle(network, stream=Stream("search", 0), examples=6, view=View(TASK.margin, Y), **options)


def test_the_margin_of_the_two_logits_is_that_of_the_task():
    network = nn.Linear(4, 1)
    value, gradient = oracle_of(network).gradient(X, ZERO, margin)
    leaf = X.clone().requires_grad_()
    expected = TASK.margin(network(leaf), Y)
    assert torch.allclose(value, expected)
    assert torch.allclose(gradient, torch.autograd.grad(expected.sum(), leaf)[0])
    assert torch.equal(oracle_of(network).labels(X), (expected > 0).long())
    assert torch.equal(oracle_of(network).wrong(X, ZERO), (expected > 0).float())


@pytest.mark.parametrize("average", ["loss", "logits", "probability"])
def test_examples_are_found_by_their_row(average):
    """Inputs of a query may be of some examples only, in any order, and several of one."""
    network = nn.Linear(4, 1)
    rows = torch.tensor([5, 0, 0, 3])
    oracle = oracle_of(network, average=average)
    value, gradient = oracle.gradient(X[rows], ZERO[rows], margin, rows=rows)
    leaf = X.clone().requires_grad_()
    expected = TASK.margin(network(leaf), Y)
    slope = torch.autograd.grad(expected.sum(), leaf)[0]
    if average == "probability":  # the margin of log probabilities is the margin
        assert torch.allclose(value, expected[rows], atol=1e-5)
    else:
        assert torch.allclose(value, expected[rows])
    assert torch.allclose(gradient, slope[rows], atol=1e-5)
    assert oracle.queries.points.tolist() == [2, 0, 0, 1, 0, 1]
    assert torch.equal(oracle.labels(X[rows], rows=rows), (expected[rows] > 0).long())
    assert torch.allclose(oracle.loss(X[rows], ZERO[rows], margin, rows=rows), expected[rows], atol=1e-5)


def test_draws_are_seen_one_by_one_and_averaged():
    net = variate.randomize(nn.Linear(4, 1), scale=0.5)
    oracle = oracle_of(net, draws=5)
    keys = oracle.take_keys(X)
    losses, gradients, logits = oracle.each(X, ZERO, cross_entropy, keys)
    assert logits.shape == (5, 6, 2)
    assert torch.equal(logits[..., 0], torch.zeros(5, 6))
    value, gradient = oracle.gradient(X, ZERO, cross_entropy, keys=keys)
    assert torch.allclose(value, losses.mean(0), atol=1e-6)
    assert torch.allclose(gradient, gradients.mean(0), atol=1e-6)
    draws = torch.stack([net.at(key)(X) for key in keys])
    expected = torch.stack([TASK.margin(draw, Y) for draw in draws])
    assert torch.allclose(logits[..., 1], expected, atol=1e-6)
    assert torch.allclose(oracle.logits_of(X, keys)[..., 1], expected, atol=1e-6)


def test_queries_in_parts_see_their_own_examples():
    """A memory limit splits a query; every part is compared with its own labels."""
    network = nn.Linear(4, 1)
    whole = oracle_of(network).gradient(X, ZERO, margin)
    split = oracle_of(network, memory=X[0].nbytes * 2 * 20).gradient(X, ZERO, margin)
    assert torch.allclose(whole[0], split[0])
    assert torch.allclose(whole[1], split[1])


def test_a_network_lent_to_a_library_shows_two_logits():
    network = nn.Linear(4, 1)
    rows = torch.tensor([4, 1])
    lent = oracle_of(network).module(X[rows], rows=rows)
    expected = TASK.margin(network(X[rows]), Y[rows])
    assert torch.allclose(lent(X[rows])[:, 1], expected)
    twice = torch.cat([X[rows], X[rows]])
    assert torch.allclose(lent(twice)[:, 1], expected.repeat(2))
