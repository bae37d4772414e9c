"""The price of a query: a closed form on a linear network with Gaussian logits, and what a bend adds."""

import math

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.oracle.query_price import query_prices
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize

SLOPE = torch.tensor([3.0, -1.0, 2.0, 0.5])  # of the difference of the logits
SIZE = float(SLOPE.norm())


class GaussianLogits(nn.Module):
    """Logits 0 and f(s.(x - 1/2)), each plus N(0, std^2) that does not depend on x; f is linear, or bends."""

    def __init__(self, bend=None):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))
        self.bend = bend

    def forward(self, x):
        value = (x.flatten(1) - 0.5) @ SLOPE
        value = value if self.bend is None else self.bend * (value / self.bend).tanh()
        return torch.stack([torch.zeros_like(value), value], 1) + self.shift


def prices(std, *, draws=1, bend=None, steps=(0.01, 0.1), **options):
    network = randomize(GaussianLogits(bend), scale=std)
    x, y = torch.full((6, 4), 0.5) + 0.01 * torch.arange(6)[:, None] / 6, torch.zeros(6).long()
    oracle = GradientOracle(network, draws=draws, stream=Stream("probe", 0), examples=6, kind="keyed")
    return query_prices(oracle, x, y, steps=steps, **({"samples": 200, "directions": 40} | options)), oracle


@pytest.mark.parametrize("std", [0.05, 0.5])
@pytest.mark.parametrize("draws", [1, 16])
def test_the_price_on_a_linear_network_is_one_plus_rho_squared(std, draws):
    found, _ = prices(std, draws=draws)
    tau = math.sqrt(2 / draws) * std  # of the difference of two logits
    assert torch.allclose(found.slope, torch.tensor(SIZE), rtol=1e-4)
    assert torch.allclose(found.noise, torch.tensor(tau), rtol=0.15)
    for price in found.prices:
        rho = tau / (math.sqrt(2) * price.step * SIZE)
        assert torch.allclose(price.rho, torch.tensor(rho), rtol=0.15)
        for repeats, value in price.by_repeats.items():
            assert torch.allclose(value, torch.tensor(repeats + rho**2), rtol=0.3)


def test_asking_again_never_pays_and_a_larger_step_does_while_the_network_is_linear():
    found, _ = prices(0.5, steps=(0.01, 0.03, 0.1))
    price, step, repeats = found.best()
    assert (repeats == 1).all()
    assert torch.allclose(step, torch.tensor(0.1))
    assert torch.allclose(price, found.prices[-1].by_repeats[1])


def test_the_best_step_is_a_compromise_where_the_network_bends():
    found, _ = prices(0.02, bend=0.3, steps=(0.001, 0.03, 3.0))
    assert torch.allclose(found.best()[1], torch.tensor(0.03))
    wide = found.prices[-1]
    assert (wide.by_repeats[1] > 1.3 * (1 + wide.rho.square())).all()  # rho alone would not show it


def test_a_network_without_noise_has_a_price_of_one():
    network = GaussianLogits()
    x, y = torch.full((3, 4), 0.5), torch.zeros(3).long()
    oracle = GradientOracle(network, stream=Stream("probe", 0), examples=3, kind="deterministic")
    found = query_prices(oracle, x, y, steps=(0.1,), samples=2)
    assert torch.allclose(found.best()[0], torch.ones(3), rtol=1e-4)


def test_its_passes_are_counted_and_do_not_touch_the_search():
    _, oracle = prices(0.5, steps=(0.1,), samples=4, directions=3)
    assert oracle.queries.forwards.tolist() == [2 * 4 + 2 * 4 * 2 * 3] * 6
    assert oracle.queries.backwards.tolist() == [2 * 4] * 6


@pytest.mark.parametrize("option", [{"steps": ()}, {"steps": (0.0,)}, {"samples": 1}, {"directions": 0}])
def test_impossible_measurements_are_named(option):
    with pytest.raises(UsageError, match="cannot measure"):
        prices(0.5, **option)
