"""Activation checkpointing runs parts of a forward again in the backward pass, under that forward's weights."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
        self.recompute, self.reentrant = True, False

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return checkpoint(self.block, x, use_reentrant=self.reentrant) if self.recompute else self.block(x)


class Second(Checkpointed):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)


def once(net, x):
    with net.fixed(1):
        return net(x)


def twice(net, x):
    with net.fixed(1):
        one = net(x)
    with net.fixed(2):
        return one + net(x)


def chained(net, x):
    with net.fixed(1):
        middle = net(x)
    with net.fixed(2):
        return net(torch.cat([middle, middle[:, :1]], 1))


def averaged(net, x):
    return net.average([1, 2, 3])(x)


def with_a_look_between(net, x):
    with net.fixed(1):
        output = net(x)
    with torch.no_grad():
        net(x)
    return output


def with_a_copy_between(net, x):
    with net.fixed(1):
        output = net(x)
    net.mean(), net.at(3)
    return output


def without_learning(net, x):
    with net.fixed(1, learn=False):
        return net(x)


@pytest.mark.parametrize(
    "forward", [once, twice, chained, averaged, with_a_look_between, with_a_copy_between, without_learning]
)
def test_gradients_equal_those_without_recomputation(forward):
    torch.manual_seed(0)
    net = randomize(Checkpointed().double(), scale=1.0)
    found = []
    for recompute in (True, False):
        net.recompute = recompute
        x = torch.linspace(0, 1, 20, dtype=torch.float64).view(5, 4).requires_grad_()
        output = forward(net, x)
        found.append(torch.autograd.grad(output.square().sum(), [x, *net.parameters()], allow_unused=True))
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_an_attack_sees_the_right_gradient():
    torch.manual_seed(0)
    net = randomize(Checkpointed().double(), scale=1.0)
    x, y = torch.linspace(0, 1, 20, dtype=torch.float64).view(5, 4), torch.zeros(5, dtype=torch.long)
    found = []
    for recompute in (True, False):
        net.recompute = recompute
        found.append(GradientOracle(net, draws=3, stream=Stream("search", 0)).gradient(x, y)[1])
    assert torch.allclose(*found, rtol=1e-10, atol=1e-12)


def reentrant(families, *, learn=True):
    """Gradients without checkpoints, and with reentrant ones."""
    torch.manual_seed(0)
    net, found = randomize(nn.Sequential(Checkpointed(), Second()).double(), families), []
    for recompute in (False, True):
        for part in net:
            part.recompute, part.reentrant = recompute, recompute
        net.zero_grad()
        x = torch.linspace(0, 1, 20, dtype=torch.float64).view(5, 4).requires_grad_()
        with net.fixed(1, learn=learn):
            output = net(x)
        output.square().sum().backward()
        found.append([x.grad, *(parameter.grad for parameter in net.parameters())])
    return found


@pytest.mark.parametrize(("families", "learn"), [("normal", True), ("normal", False), ("normal(snr=2)", False)])
def test_reentrant_checkpoints_give_the_same_gradients(families, learn):
    """Each of them is a backward pass of its own, which ends at the one draw of the whole forward."""
    found = reentrant(families, learn=learn)
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_reentrant_checkpoints_that_cannot_work_say_so():
    with pytest.raises(RuntimeError, match="pass use_reentrant=False"):
        reentrant("normal(snr=2)")


def test_a_step_between_forward_and_backward_is_an_error():
    net = randomize(nn.Linear(4, 3))
    output = net(torch.rand(2, 4)).sum()
    with torch.no_grad():
        net.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()
