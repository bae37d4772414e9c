import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from variate.errors import UsageError
from variate.random.distribution import family_named
from variate.random.families.binomial import Binomial
from variate.random.fixing import fixed
from variate.random.noise import native
from variate.random.randomize import randomize

DOUBLE = torch.float64
X = (0.7, -1.3)  # one input of the tiny network
WEIGHTS = 3


def at_cells(family, cells, scale):
    return family.at(torch.as_tensor(cells), torch.tensor(scale, dtype=DOUBLE))


def deep(w):
    """The output of a network of two linear layers: linear in each weight."""
    return w[:, 2] * (w[:, 0] * X[0] + w[:, 1] * X[1])


LOSSES = {
    "linear": deep,
    "quadratic": lambda w: (deep(w) - 0.4).square(),
    "tanh": lambda w: (w[:, 2] * torch.tanh(w[:, 0] * X[0] + w[:, 1] * X[1]) - 0.4).square(),
}


def exact(family, mean, scale, loss):
    """The gradients of the expected loss, summed over every value of every weight."""
    mean, scale = mean.clone().requires_grad_(), torch.tensor(scale, dtype=DOUBLE, requires_grad=True)
    n = family.length
    p = (1 + mean / scale) / 2
    counts = torch.tensor(list(itertools.product(range(n + 1), repeat=WEIGHTS)), dtype=DOUBLE)  # (C, 3)
    choose = torch.tensor([[math.comb(n, int(k)) for k in row] for row in counts], dtype=DOUBLE)
    chances = (choose * p**counts * (1 - p) ** (n - counts)).prod(1)
    expected = (chances * loss(scale * (2 * counts / n - 1))).sum()
    return torch.cat([part.reshape(-1) for part in torch.autograd.grad(expected, (mean, scale))])


def estimated(family, mean, scale, loss):
    """The mean over every draw of the gradients of its loss, each draw with its probability."""
    n = family.length
    counts = torch.tensor(list(itertools.product(range(n + 1), repeat=WEIGHTS)))  # (C, 3)
    p = ((1 + mean / scale) / 2).expand(len(counts), -1).numpy()
    chances = torch.from_numpy(stats.binom.pmf(counts.numpy(), n, p))
    middle = torch.from_numpy(stats.binom.cdf(counts.numpy() - 1, n, p)) + chances / 2  # noise that leads to k
    means = mean.expand(len(counts), -1).clone().requires_grad_()
    scales = means.new_full((len(counts), 1), scale).requires_grad_()
    w = family.sample((middle,), means, scales)
    reached = chances > 1e-6  # smaller than that, float32 noise has few numbers for a count
    assert torch.allclose(w[reached], (scale * (2 * counts.double() / n - 1))[reached])
    by_draw = torch.autograd.grad(loss(w).sum(), (means, scales))
    return torch.cat([(chances.prod(1)[:, None] * part).sum(0) for part in by_draw])


CASES = [(1, (0, 1, 1), 0.8), (2, (0, 2, 3), 0.5), (4, (3, 9, 14), 1.2)]


@pytest.mark.parametrize(("bits", "cells", "scale"), CASES)
@pytest.mark.parametrize(
    ("gradient", "loss"), [("normal", "linear"), ("normal", "quadratic"), ("straight-through", "linear")]
)
def test_the_gradient_is_that_of_the_expected_loss_where_it_is_said_to_be_exact(gradient, loss, bits, cells, scale):
    family = Binomial(bits=bits, gradient=gradient)
    mean = at_cells(family, cells, scale)
    expected = exact(family, mean, scale, LOSSES[loss])
    assert torch.allclose(estimated(family, mean, scale, LOSSES[loss]), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("bits", "cells", "scale"), CASES)
def test_straight_through_is_blind_to_the_variance(bits, cells, scale):
    family = Binomial(bits=bits, gradient="straight-through")
    mean = at_cells(family, cells, scale)
    found = estimated(family, mean, scale, LOSSES["quadratic"])
    assert not torch.allclose(found, exact(family, mean, scale, LOSSES["quadratic"]), rtol=0.05)


@pytest.mark.parametrize(("bits", "cells", "scale"), CASES[1:])
def test_estimates_point_along_the_gradient_of_a_network_that_is_not_linear(bits, cells, scale):
    errors = {}
    for gradient in ("normal", "straight-through"):
        family = Binomial(bits=bits, gradient=gradient)
        mean = at_cells(family, cells, scale)
        expected, found = (fn(family, mean, scale, LOSSES["tanh"]) for fn in (exact, estimated))
        errors[gradient] = float((found - expected).norm() / expected.norm())
        assert float(torch.cosine_similarity(found, expected, 0)) > 0.8
    assert errors["normal"] < 0.1
    assert errors["normal"] < errors["straight-through"] / 3


@pytest.mark.parametrize("bits", range(1, 9))
def test_counts_are_binomial(bits):
    family, count = Binomial(bits=bits), 4000
    cells = torch.arange(family.levels).repeat_interleave(count)
    scale = torch.tensor(0.3)
    mean = family.at(cells, scale)
    assert torch.equal(family.cells(mean, scale), cells)
    draws = family.sample(family.noise(1, 2, mean), mean, scale)
    k = ((draws / scale + 1) / 2 * family.length).round().view(family.levels, count).numpy()
    assert np.allclose(draws.numpy(), 0.3 * (2 * k.reshape(-1) / family.length - 1), atol=1e-6)
    p = (np.arange(family.levels) + 0.5) / family.levels
    law = stats.binom(family.length, p)
    z = (k.mean(1) - law.mean()) / np.sqrt(law.var() / count)
    assert stats.kstest(z, "norm").pvalue > 1e-6
    assert np.abs(z).max() < 5.5
    entropies = [float(family.entropy(family.at(torch.tensor([j]), scale), scale)) for j in range(family.levels)]
    assert entropies == pytest.approx(law.entropy(), abs=1e-5)
    assert float(family.std(mean, scale)[-1]) == pytest.approx(2 * 0.3 * math.sqrt(p[-1] * (1 - p[-1]) / family.length))


@pytest.mark.parametrize("bits", [1, 3])
def test_entropy_has_the_slope_of_its_curve_in_p(bits):
    family, p = Binomial(bits=bits), torch.tensor(0.5 + 0.5 / 2**bits, dtype=DOUBLE, requires_grad=True)
    k = torch.arange(family.length + 1, dtype=DOUBLE)
    choose = torch.tensor([math.comb(family.length, int(i)) for i in k], dtype=DOUBLE)
    chances = choose * p**k * (1 - p) ** (family.length - k)
    (slope,) = torch.autograd.grad(-(chances * chances.log()).sum(), p)
    mean = (2 * p.detach() - 1).requires_grad_()  # with a scale of 1
    family.entropy(mean, torch.ones((), dtype=DOUBLE)).backward()
    assert float(mean.grad) == pytest.approx(float(slope) / 2)


@pytest.mark.parametrize("share", ["tensor", "channel"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_pretrained_weight_begins_as_near_as_the_grid_allows(bits, share):
    torch.manual_seed(0)
    layer = nn.Linear(200, 10)
    net = randomize(layer, f"binomial(bits={bits}, share={share})", scale=1e-3)
    assert torch.equal(net.weight, layer.weight)
    distribution = net.sites[0].distribution
    scale = torch.nn.functional.softplus(net.weight_rho.detach())
    off = (distribution.center(net.weight, scale) - net.weight).detach()
    assert float(off.norm() / net.weight.detach().norm()) < 1.05 / 2**bits  # that of a uniform quantizer
    for factor in (0.9, 1.1):  # the least squares
        other = (distribution.center(net.weight, scale * factor) - net.weight).detach()
        assert float(other.square().sum()) > float(off.square().sum())


@pytest.mark.parametrize("size", [0, 5])
def test_a_tensor_of_zeros_begins_with_the_noise_that_was_asked(size):
    family, mean = Binomial(bits=4), torch.zeros(1, size)
    scale = family.first_scale(mean, 0.1).float()
    assert float(scale) == pytest.approx(0.1 * math.sqrt(15))
    assert torch.allclose(family.std(mean, scale), torch.full((size,), 0.1), rtol=0.01)


def test_a_mean_beyond_the_scale_is_at_the_end_of_the_grid_and_pulls_the_scale():
    family, mean = Binomial(bits=2), torch.tensor([3.0], requires_grad=True)
    scale = torch.tensor(1.0, requires_grad=True)
    family.center(mean, scale).backward()
    assert float(family.center(mean, scale).detach()) == 0.75
    assert float(mean.grad) == 0
    assert float(scale.grad) == 0.75


@pytest.mark.skipif(not native.available(), reason="there is no compiled sampler")
@pytest.mark.parametrize("bits", [1, 4])
def test_draws_are_the_same_from_both_samplers(bits, monkeypatch):
    torch.manual_seed(0)
    net = randomize(nn.Linear(64, 32), f"binomial(bits={bits})")
    weights = []
    for sampler in ("", "torch"):
        monkeypatch.setenv(native.SWITCH, sampler)
        weights.append(net.at(5).weight)
    assert torch.equal(*weights)


def test_compiled_and_vectorized_draws_are_those_of_eager_mode():
    torch.manual_seed(0)
    net, x = randomize(nn.Linear(3, 2, bias=False), "binomial(bits=2)"), torch.rand(4, 3)
    with fixed(net, 7):
        expected = net(x)
        assert torch.allclose(torch.compile(net, backend="eager", fullgraph=True)(x), expected, atol=1e-6)
        assert torch.allclose(torch.func.vmap(lambda row: net(row[None])[0])(x), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("binomial(bits=0)", "bits is 0"),
        ("binomial(bits=9)", "bits is 9"),
        ("binomial(bits=2.5)", "bits is 2.5"),
        ("binomial(gradient=none)", "gradient is 'none'"),
        ("binomial(share=element)", "cannot share its scale per element"),
        ("binomial(floor=0.1)", "no floor"),
        ("binomial(snr=2)", "no fixed snr"),
    ],
)
def test_options_that_make_no_sense(text, problem):
    with pytest.raises(UsageError, match=problem):
        family_named(text)
