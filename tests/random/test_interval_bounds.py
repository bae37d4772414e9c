"""Interval bounds hold at every corner of a ball, and are exact where the network is one layer."""

import itertools

import pytest
import torch
from every_operation import many
from torch import nn

from variate.errors import UsageError
from variate.models.lenet import LeNet
from variate.models.resnet18 import ResNet18
from variate.random.interval_bounds import Interval, box, output_bounds, verified, worst_margins
from variate.random.randomize import randomize


def networks():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    return {"many": many(), "plain": plain, "random": randomize(plain, scale=0.3)}


@pytest.mark.parametrize("name", networks())
def test_every_corner_is_within_the_bounds(name):
    net, x, eps = networks()[name], torch.full((1, 1, 2, 2), 0.5), 0.1
    corners = torch.tensor(list(itertools.product([-eps, eps], repeat=4))).reshape(16, 1, 2, 2)
    inside = torch.cat([corners, eps * (2 * torch.rand(200, 1, 2, 2, generator=torch.Generator().manual_seed(0)) - 1)])
    with net.fixed(7) if name == "random" else torch.no_grad():
        bounds = output_bounds(net, box(x, eps))
        points = net(x + inside)
    assert bool((points >= bounds.low - 1e-5).all())
    assert bool((points <= bounds.high + 1e-5).all())
    y = torch.zeros(1, dtype=torch.long)
    margins = points[:, :1] - points
    worst = worst_margins(bounds, y)
    assert bool((margins >= worst - 1e-5).all())
    assert bool(verified(net, box(x, 0.0), points.new_tensor([int(net(x).argmax())]).long())) or name == "random"


def test_one_layer_is_exact_and_its_last_layer_is_bounded_by_differences():
    torch.manual_seed(1)
    layer, x, eps = nn.Linear(4, 3), torch.full((1, 4), 0.5), 0.2
    corners = x + torch.tensor(list(itertools.product([-eps, eps], repeat=4)))
    with torch.no_grad():
        bounds, points = output_bounds(layer, box(x, eps)), layer(corners)
        worst = (points[:, :1] - points).amin(0)
        assert torch.allclose(bounds.low[0], points.amin(0), atol=1e-6)
        assert torch.allclose(worst_margins(bounds, torch.tensor([0]))[0], worst, atol=1e-6)
        loose = worst_margins(Interval(bounds.center, bounds.radius), torch.tensor([0]))[0]
        assert bool((loose[1:] < worst[1:]).all())


def test_the_box_stays_in_the_range_of_inputs():
    bounds = box(torch.tensor([[0.02, 0.5, 0.99]]), 0.1)
    assert torch.allclose(bounds.low, torch.tensor([[0.0, 0.4, 0.89]]))
    assert torch.allclose(bounds.high, torch.tensor([[0.12, 0.6, 1.0]]))


@pytest.mark.parametrize("make", [lambda: LeNet((1, 8, 8), 10), lambda: ResNet18((1, 8, 8), 10, width=4).eval()])
def test_the_networks_of_this_package_have_bounds(make):
    torch.manual_seed(0)
    net, x = randomize(make(), scale=0.1), torch.rand(3, 1, 8, 8)
    with net.fixed(5), torch.no_grad():
        bounds = output_bounds(net, box(x, 0.002))
        moved = net((x + 0.002 * torch.rand_like(x).sub(0.5).sign()).clamp(0, 1))
    assert bool(((moved >= bounds.low - 1e-4) & (moved <= bounds.high + 1e-4)).all())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.GELU()), "operation gelu"),
        (nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()), "batch norm that uses the batch"),
        (nn.Sequential(nn.Dropout(0.5), nn.Flatten()), "dropout that is on"),
        (nn.Conv2d(1, 2, 1), "need logits"),
    ],
)
def test_what_has_no_bounds_says_so(net, words):
    with pytest.raises(UsageError, match=words):
        output_bounds(net, box(torch.rand(2, 1, 2, 2), 0.1))
