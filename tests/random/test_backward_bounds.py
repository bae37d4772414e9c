"""Bounds by a backward pass hold at every corner and inside, and are tighter where a network has depth."""

import itertools

import pytest
import torch
from every_operation import many
from torch import nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.models.lenet import LeNet
from variate.models.resnet18 import ResNet18
from variate.random.backward_bounds import backward_margins
from variate.random.interval_bounds import box, output_bounds, worst_margins
from variate.random.randomize import randomize

EPS = 0.1
CORNERS = torch.tensor(list(itertools.product([-EPS, EPS], repeat=4))).double()  # (16, 4)


def deep(seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.LeakyReLU(0.1), nn.Linear(8, 3)]
    return nn.Sequential(nn.Flatten(), *layers).double()


class Residual(nn.Module):
    """A sum of two ways, pooled: both depend on the same input."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        h = F.relu(self.first(x))
        return self.last(F.max_pool2d(h + F.relu(self.second(h)), 2).flatten(1))


def residual():
    torch.manual_seed(0)
    return Residual().double()


NETWORKS = {
    "deep": deep,
    "random": lambda: randomize(deep(), scale=0.2),
    "many": lambda: many().double(),
    "residual": residual,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_margins_hold_at_every_corner_and_inside(name):
    net, generator = NETWORKS[name](), torch.Generator().manual_seed(0)
    x = torch.rand(5, 1, 2, 2, generator=generator).double()
    y = torch.tensor([0, 1, 2, 0, 1])
    inside = EPS * (2 * torch.rand(300, 4, generator=generator).double() - 1)
    moves = torch.cat([CORNERS, inside]).view(-1, 1, 1, 2, 2)  # (316, 1, 1, 2, 2)
    points = (x + moves).clamp(0, 1).flatten(0, 1)
    with net.fixed(7) if name == "random" else torch.no_grad():
        by_intervals, backward = backward_margins(net, box(x, EPS), y)
        with torch.no_grad():
            assert torch.allclose(by_intervals, worst_margins(output_bounds(net, box(x, EPS)), y))
            logits = net(points).view(len(moves), 5, 3)
    margins = (logits.gather(2, y.expand(len(moves), 5)[..., None]) - logits).amin(0)  # (5, 3)
    assert bool((backward <= margins + 1e-9).all())
    assert not backward.requires_grad


def test_an_affine_network_is_bounded_exactly():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Linear(6, 3)).double()
    x, y = torch.full((1, 4), 0.5).double(), torch.tensor([2])
    logits = net(x + CORNERS)
    exact = (logits[:, 2:] - logits).amin(0)
    by_intervals, backward = backward_margins(net, box(x, EPS), y)
    torch.testing.assert_close(backward[0], exact)
    assert bool((by_intervals[0, :2] < exact[:2] - 0.01).all())


def test_where_no_unit_changes_its_sign_the_bound_is_exact_and_elsewhere_it_is_mostly_tighter():
    x, y = torch.rand(50, 4, generator=torch.Generator().manual_seed(2)).double(), torch.arange(50) % 3
    for seed in range(3):
        by_intervals, backward = backward_margins(deep(seed), box(x, 0.03), y)
        others = F.one_hot(y, 3) == 0
        assert float((backward > by_intervals)[others].double().mean()) > 0.9
    tiny = 1e-6
    net = deep()
    logits = net(x[:1] + CORNERS / EPS * tiny)
    exact = (logits[:, :1] - logits).amin(0)
    torch.testing.assert_close(backward_margins(net, box(x[:1], tiny), y[:1])[1][0], exact, rtol=0, atol=1e-12)


def test_the_gradient_of_a_bound_is_that_of_differences():
    net, x, y = deep(), torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).double(), torch.tensor([0, 1, 2])
    weight = net[1].weight

    def total():
        return backward_margins(net, box(x, EPS), y, graph=True)[1].sum()

    (gradient,) = torch.autograd.grad(total(), weight)
    for i, j in itertools.product((0, 3, 5), (0, 2)):
        ends = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[i, j] += step
            ends.append(total().item())
            with torch.no_grad():
                weight[i, j] -= step
        assert float(gradient[i, j]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-5)


@pytest.mark.parametrize("make", [lambda: LeNet((1, 8, 8), 10), lambda: ResNet18((1, 8, 8), 10, width=4).eval()])
def test_the_networks_of_this_package_have_backward_bounds(make):
    torch.manual_seed(0)
    net, x, y = randomize(make(), scale=0.1), torch.rand(3, 1, 8, 8), torch.tensor([1, 2, 3])
    with net.fixed(5):
        _, backward = backward_margins(net, box(x, 0.002), y)
        with torch.no_grad():
            logits = net((x + 0.002 * torch.rand_like(x).sub(0.5).sign()).clamp(0, 1))
    assert bool((backward <= logits.gather(1, y[:, None]) - logits + 1e-4).all())


class Mixing(nn.Module):
    """Moves values between the examples of a batch."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return F.relu(self.how(x.flatten(1)))


@pytest.mark.parametrize(
    "how",
    [
        lambda x: x.transpose(0, 1),
        lambda x: x[[1, 0, 2, 3]],
        lambda x: torch.cat([x[1:], x[:1]]),
        lambda x: x.view(2, 8),
    ],
)
def test_a_network_that_mixes_examples_has_none(how):
    with pytest.raises(UsageError, match="moves the examples"):
        backward_margins(Mixing(how), box(torch.rand(4, 4), EPS), torch.zeros(4, dtype=torch.long))
