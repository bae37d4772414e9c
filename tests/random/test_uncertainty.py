"""Predictive entropy, mutual information and expected pairwise KL against closed forms."""

import math

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.random.uncertainty import Uncertainty, uncertainty


class Coin(nn.Module):
    """Log odds of +-a for class 0 by the sign of its one weight, whatever the input."""

    def __init__(self, odds):
        super().__init__()
        self.odds, self.sign = odds, nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        z = self.odds * torch.where(self.sign > 0, 1.0, -1.0).double().expand(len(x))
        return torch.stack([z, torch.zeros_like(z)], 1)


def entropy_of(p):
    return -sum(q * math.log(q) for q in (p, 1 - p))


def test_two_points_have_closed_forms():
    odds = 1.7
    p = 1 / (1 + math.exp(-odds))
    found = Uncertainty.of(torch.tensor([[[odds, 0.0]], [[-odds, 0.0]]], dtype=torch.float64))
    assert found.probabilities.tolist() == [pytest.approx([0.5, 0.5])]
    assert found.entropy.item() == pytest.approx(math.log(2))
    assert found.mutual_information.item() == pytest.approx(math.log(2) - entropy_of(p))
    assert found.pairwise_kl.item() == pytest.approx((2 * p - 1) * odds)  # KL((p, 1 - p) || (1 - p, p))


def test_a_network_of_two_points_is_that_of_its_share_of_each():
    net, draws, odds = variate.randomize(Coin(2.0)), 40, 2.0
    found = uncertainty(net, torch.zeros(3, 2, dtype=torch.float64), draws=draws, seed=3)
    p = 1 / (1 + math.exp(-odds))
    mean = float(found.probabilities[0, 0])
    positive = round((mean - (1 - p)) / (2 * p - 1) * draws)  # how many draws had the positive sign
    assert 0 < positive < draws
    assert found.entropy.tolist() == pytest.approx([entropy_of(mean)] * 3)
    assert found.mutual_information.tolist() == pytest.approx([entropy_of(mean) - entropy_of(p)] * 3)
    pairs = 2 * positive * (draws - positive) / (draws * (draws - 1))
    assert found.pairwise_kl.tolist() == pytest.approx([pairs * (2 * p - 1) * odds] * 3)


def test_by_enumeration_of_pairs_and_in_order():
    logits = 3 * torch.randn(6, 50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found, p = Uncertainty.of(logits), logits.softmax(-1)
    mean = p.mean(0)
    expected = -(mean * mean.log()).sum(-1)
    torch.testing.assert_close(found.entropy, expected)
    own = -(p * p.log()).sum(-1).mean(0)
    torch.testing.assert_close(found.mutual_information, expected - own)
    pairs = [(p[i] * (p[i] / p[j]).log()).sum(-1) for i in range(6) for j in range(6) if i != j]
    torch.testing.assert_close(found.pairwise_kl, torch.stack(pairs).mean(0))
    assert (found.mutual_information <= found.entropy).all()
    assert (found.pairwise_kl >= found.mutual_information).all()
    torch.testing.assert_close(found.confidence, mean.amax(-1))
    assert torch.equal(found.labels, mean.argmax(-1))


@pytest.mark.parametrize("draws", [1, 7])
def test_a_constant_network_has_no_mutual_information(draws):
    net, x = nn.Linear(3, 4), torch.rand(5, 3)
    found = uncertainty(net, x, draws=draws)
    torch.testing.assert_close(found.entropy, torch.distributions.Categorical(logits=net(x)).entropy())
    assert found.mutual_information.max() < 1e-7
    assert found.pairwise_kl.max() < 1e-7


def test_classes_that_are_ruled_out_count_nothing():
    sure = Uncertainty.of(torch.tensor([[[0.0, -torch.inf]], [[0.0, -torch.inf]]]))
    assert (sure.entropy.item(), sure.mutual_information.item(), sure.pairwise_kl.item()) == (0, 0, 0)
    opposite = Uncertainty.of(torch.tensor([[[0.0, -torch.inf]], [[-torch.inf, 0.0]]]))
    assert opposite.mutual_information.item() == pytest.approx(math.log(2))
    assert opposite.pairwise_kl.item() == math.inf


def test_a_seed_repeats_it_and_the_network_is_left_as_it_was():
    net = variate.randomize(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)), scale=0.5)
    net.set_seed(0)
    x, before = torch.rand(6, 3), {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first, again = (uncertainty(net, x, seed=1) for _ in range(2))
    assert torch.equal(first.mutual_information, again.mutual_information)
    assert not torch.equal(first.mutual_information, uncertainty(net, x, seed=2).mutual_information)
    assert not torch.equal(uncertainty(net, x).entropy, uncertainty(net, x).entropy)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert (first.mutual_information > 0).all()


def test_dropout_counts_as_randomness():
    net = nn.Sequential(nn.Linear(3, 16), nn.Dropout(0.5), nn.Linear(16, 2))
    assert (uncertainty(net, torch.rand(4, 3), seed=0).mutual_information > 0).all()
    assert uncertainty(net.eval(), torch.rand(4, 3), seed=0).mutual_information.max() < 1e-7


@pytest.mark.parametrize("draws", [0, True, 2.0])
def test_a_number_of_draws_is_a_whole_number(draws):
    with pytest.raises(UsageError, match="draws is"):
        uncertainty(nn.Linear(3, 2), torch.rand(1, 3), draws=draws)


def test_one_logit_is_refused():
    with pytest.raises(InputError, match="one logit"):
        uncertainty(nn.Linear(3, 1), torch.rand(1, 3))
