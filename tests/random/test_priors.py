"""Priors by name pattern: closed forms, pretrained weights, and that nothing changes without them."""

import copy
import math

import pytest
import torch
from torch import nn

import variate
from variate.errors import UsageError
from variate.random.priors import priors_of, set_priors
from variate.registry import entries
from variate.training.clock import Clock
from variate.training.recipe import Recipe
from variate.training.wiring import wire

PRIORS = {
    "norm.weight": "normal(at=1, scale=0.1)",
    "*.bias": "laplace(scale=0.5)",
    "*": "normal(at=pretrained, scale=0.2)",
}
RANDOM = [name for name, entry in entries("families").items() if entry.facts["random"]]


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(3, 4), nn.LayerNorm(4)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.norm(self.fc(x)).relu())


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Normed().double()


def _normals(mean, std, at, scale):
    """KL(N(mean, std^2) || N(at, scale^2)) by torch."""
    return torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(at, scale)
    ).sum()


def test_the_divergence_is_the_sum_of_those_from_each_prior(module):
    net = variate.randomize(module, scale=0.3, priors=PRIORS)
    means, stds, expected = dict(net.named_parameters()), net.stds(), 0.0
    for name in stds:
        mean, std = means[name].detach(), stds[name].detach()
        if name == "norm.weight":
            expected += _normals(mean, std, 1.0, 0.1)
        elif name.endswith("bias"):
            expected += _laplace_by_quadrature(mean, std, 0.5)
        else:
            expected += _normals(mean, std, dict(module.named_parameters())[name].detach(), 0.2)
    assert net.kl().item() == pytest.approx(float(expected), rel=1e-6)
    assert net.kl(prior_std=3.0).item() == net.kl().item()  # every parameter has its own


def _laplace_by_quadrature(mean, std, scale):
    """KL(N(mean, std^2) || Laplace with standard deviation ``scale``), on a fine grid of z."""
    z = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
    w = mean[:, None] + std[:, None] * z
    prior = torch.distributions.Laplace(torch.zeros(()).double(), scale / math.sqrt(2)).log_prob(w)
    cross = torch.trapezoid(-prior * density, z)
    return (cross - torch.distributions.Normal(mean, std).entropy()).sum()


def test_a_batch_norm_weight_of_one_costs_little_under_a_prior_at_one(module):
    costs = [
        variate.randomize(module, {"norm.weight": "normal", "*": "fixed"}, priors=priors).kl(0.1).item() / 4
        for priors in (None, {"norm.weight": "normal(at=1, scale=0.1)"})
    ]
    assert costs[0] == pytest.approx(costs[1] + 50)  # 1 / (2 * 0.1^2) for each element


@pytest.mark.parametrize("name", RANDOM)
def test_every_family_has_a_divergence_from_a_normal_prior_anywhere(name):
    net = variate.randomize(nn.Linear(3, 2, bias=False).double(), name, scale=0.3)
    site, group = next(iter(net._variate.scaled(net)))
    mean = site.distribution.center(*group)
    second = mean.square() + site.distribution.std(*group).square()  # E w^2
    shifted = second - 2 * 0.7 * mean + 0.7**2  # E (w - 0.7)^2
    expected = net.kl(0.5) + (shifted - second).sum() / (2 * 0.5**2)
    set_priors(net, {"*": "normal(at=0.7, scale=0.5)"})
    assert net.kl().item() == pytest.approx(expected.item(), rel=1e-9)


def test_laplace_weights_under_a_laplace_prior_agree_with_torch(module):
    net = variate.randomize(module, "laplace", scale=0.3, priors={"*": "laplace(at=0.2, scale=0.7)"})
    laplace, root, means = torch.distributions.Laplace, math.sqrt(2), dict(net.named_parameters())
    prior = laplace(*torch.tensor([0.2, 0.7 / root], dtype=torch.float64))
    expected = sum(
        torch.distributions.kl_divergence(laplace(means[name].detach(), std.detach() / root), prior).sum()
        for name, std in net.stds().items()
    )
    assert net.kl().item() == pytest.approx(float(expected), rel=1e-9)


def test_without_priors_nothing_changes(module):
    plain, net = variate.randomize(module), variate.randomize(module, priors={})
    assert list(plain.state_dict()) == list(net.state_dict())
    by_hand = sum(
        site.distribution.kl(*group, prior_std=0.1) for site, group in plain._variate.scaled(plain, widen=True)
    )
    assert plain.kl(0.1).item() == net.kl(0.1).item() == by_hand.item()
    with pytest.raises(UsageError, match="has no prior"):
        plain.kl()


def test_pretrained_weights_are_kept_while_the_means_move(module):
    net = variate.randomize(module, priors={"fc.weight": "normal(at=pretrained, scale=0.2)", "*": "normal"})
    before = net.kl().item()
    with torch.no_grad():
        net.fc.weight += 0.3
    assert net.kl().item() == pytest.approx(before + 12 * 0.3**2 / (2 * 0.2**2), rel=1e-6)
    again = variate.randomize(Normed().double(), priors=priors_of(net))
    again.load_state_dict(net.state_dict())
    assert again.kl().item() == copy.deepcopy(net).kl().item() == net.kl().item()
    assert [name for name, _ in net.mean().named_buffers()] == []  # an ordinary module again
    set_priors(net, {"*": "normal"})
    assert "fc.weight_prior" not in net.state_dict()


def test_priors_reach_networks_inside_a_module(module):
    outer = nn.Sequential(variate.randomize(module), nn.Identity())
    set_priors(outer, {"0.norm.*": "normal(at=1)", "*": "normal"})
    assert priors_of(outer)["0.norm.weight"] == "normal(at=1)"
    assert torch.isfinite(variate.kl(outer))


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ({"nrom.*": "normal"}, "matches no parameter.*did you mean"),
        ({"*": "norml"}, "norml"),
        ({"*": "normal(mean=1)"}, "option of a prior"),
        ({"*": "normal(at=before)"}, "at of a prior is 'before'"),
        ({"*": "normal(scale=0)"}, "scale of a prior is 0"),
        ({"*": "student-t"}, "student-t"),
        (["*: normal"], "mapping"),
        ({"*": 0.1}, "mapping from name patterns to priors such as"),
    ],
)
def test_mistakes_are_named(module, priors, message):
    with pytest.raises(UsageError, match=rf"(?s){message}"):
        variate.randomize(module, priors=priors)


def test_a_family_without_a_closed_form_is_refused(module):
    with pytest.raises(UsageError, match=r"student-t .*from a laplace prior has no closed form"):
        variate.randomize(module, "student-t", priors={"*": "laplace"})


def test_a_name_that_is_taken_is_refused(module):
    module.fc.register_buffer("weight_prior", torch.zeros(3))
    with pytest.raises(UsageError, match=r"fc\.weight_prior already exists"):
        variate.randomize(module, priors={"*": "normal(at=pretrained)"})


def test_objectives_use_the_priors(module):
    net, x, y = variate.randomize(module, priors={"norm.weight": "normal(at=1, scale=0.1)"}), None, None
    loss = wire(Recipe("kl(prior=0.5)"), net, variate.Stream("train", 0), clock=Clock(examples=10, step=1))(net, x, y)
    assert loss.item() == pytest.approx(net.kl(0.5).item() / 10)
    assert loss.item() != pytest.approx(variate.randomize(module).kl(0.5).item() / 10)


def _batches():
    return [(torch.rand(4, 3).double(), torch.zeros(4, dtype=torch.long))]


def test_a_training_sets_priors_by_lines(module):
    net = variate.randomize(module)
    options = {"epochs": 1, "lr": 0.0, "accelerator": "cpu", "precision": "64-true"}
    lines = ["norm.weight: normal(at=1, scale=0.1)", "*: normal(at=pretrained, scale=0.3)"]
    history = variate.train(net, _batches(), objective="kl", priors=lines, **options)
    assert history.losses[0] == pytest.approx(net.kl().item() / 4)
    assert priors_of(net)["fc.weight"] == "normal(at=pretrained, scale=0.3)"
    for objective, wrong, message in (
        ("cross-entropy", lines, "knows no priors"),
        ("kl", ["norm"], "'norm' is no prior"),
        ("kl", "norm: normal", "a list"),
    ):
        with pytest.raises(UsageError, match=message):
            variate.train(net, _batches(), objective=objective, priors=wrong, **options)
