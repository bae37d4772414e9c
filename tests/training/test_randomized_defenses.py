"""The mechanism of every randomized defense is really there: sizes, places, covariances, chances."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.models.lenet import LeNet
from variate.models.mlp import MLP
from variate.models.resnet18 import ResNet18
from variate.random.network import RandomNetwork
from variate.registry import Entry, entries
from variate.testing.findings import Z
from variate.testing.objectives import check_objective
from variate.training.defense import defended
from variate.training.defenses.ensemble import Ensemble
from variate.training.defenses.random_resize import RandomResize
from variate.training.defenses.sap import Pruning
from variate.training.noise_layers import CorrelatedNoise, LearnedNoise, Surrounded
from variate.training.objectives.noise_growth import noise_growth
from variate.training.objectives.weight_covariance import weight_covariance
from variate.training.train import train

DRAWS = 4000


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def images():
    return torch.rand(6, 1, 8, 8)


def lenet():
    return LeNet((1, 8, 8), 10)


def around(network):
    """The layers that a defense has surrounded, by name."""
    return {name: part for name, part in network.named_modules() if isinstance(part, Surrounded)}


def noise_in_front(network, x):
    """What each surrounded layer receives, less what was sent to it, by name."""
    sent, received, hooks = {}, {}, []
    for name, part in around(network).items():
        hooks.append(part.register_forward_pre_hook(lambda _, a, name=name: sent.update({name: a[0]})))
        hooks.append(part.layer.register_forward_pre_hook(lambda _, a, name=name: received.update({name: a[0]})))
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return {name: received[name] - sent[name] for name in sent}


def has_std(samples, std):
    """Whether independent Gaussian samples have a standard deviation, at a few standard errors."""
    return abs(float(samples.std()) / std - 1) < Z / math.sqrt(2 * samples.numel())


def has_mean(samples, mean, std):
    """Whether independent samples have a mean, at a few standard errors."""
    return abs(float(samples.double().mean()) - mean) < Z * std / math.sqrt(samples.numel())


def test_rse_has_its_noise_in_front_of_every_convolution(images):
    network, objective = defended("rse", lenet())
    assert objective == "cross-entropy"
    assert list(around(network)) == ["conv1", "conv2"]
    calls = [noise_in_front(network.eval(), images) for _ in range(100)]
    for name, std in (("conv1", 0.2), ("conv2", 0.1)):
        assert all(torch.allclose(call[name][0], call[name][1], atol=1e-6) for call in calls)  # one for the batch
        assert has_std(torch.stack([call[name][0] for call in calls]), std)
    found = noise_in_front(network.train(), images)
    assert not torch.allclose(found["conv1"][0], found["conv1"][1], atol=1e-2)  # one for each example in training


def test_rse_has_other_sizes_if_asked(images):
    network, _ = defended("rse(first=0.5, inner=0.3)", lenet())
    found = noise_in_front(network.train(), images.repeat(20, 1, 1, 1))
    assert has_std(found["conv1"], 0.5)
    assert has_std(found["conv2"], 0.3)


@pytest.mark.parametrize(("text", "sigma"), [("smoothing", 0.12), ("smoothing(sigma=0.5)", 0.5)])
def test_smoothing_adds_sigma_to_the_input(text, sigma, images):
    network, objective = defended(text, lenet())
    assert objective == "cross-entropy"
    assert list(around(network)) == [""]
    found = torch.stack([noise_in_front(network.eval(), images)[""][0] for _ in range(60)])
    assert has_std(found, sigma)
    assert has_mean(found, 0.0, sigma)
    assert has_std(noise_in_front(network.train(), images.repeat(20, 1, 1, 1))[""], sigma)


@pytest.mark.parametrize(
    ("network", "places"),
    [
        (LeNet((1, 8, 8), 10), ["fc1", "fc2", "fc3"]),
        (MLP((1, 8, 8), 10), ["layers.3", "layers.5"]),
        (ResNet18((1, 8, 8), 10, width=4), ["fc"]),
    ],
)
def test_dropout_stands_in_front_of_the_linear_layers(network, places):
    network, objective = defended("dropout", network)
    assert objective == "cross-entropy"
    assert list(around(network)) == places


def test_dropout_stays_on_and_keeps_the_mean():
    front = around(defended("dropout(rate=0.25)", lenet())[0].eval())["fc1"].front
    found = torch.stack([front(torch.ones(2, 50)) for _ in range(DRAWS)])
    assert torch.equal(found[:, 0], found[:, 1])
    assert found.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert has_mean(found[:, 0] == 0, 0.25, math.sqrt(0.25 * 0.75))
    assert not torch.equal(*front.train()(torch.ones(2, 50)))


def test_pni_has_noise_on_the_weights_alone():
    network, objective = defended("pni", ResNet18((1, 8, 8), 10, width=4))
    assert objective == "cross-entropy:0.5+adversarial:0.5"
    plain = ResNet18((1, 8, 8), 10, width=4)
    weights = {f"{n}.weight" for n, p in plain.named_modules() if isinstance(p, nn.Conv2d | nn.Linear)}
    assert {site.name for site in network.sites} == weights
    sizes = network.sizes()
    for name, std in network.stds().items():
        assert torch.allclose(std, 0.25 * sizes[name], rtol=1e-3)


@pytest.mark.parametrize(("share", "scales"), [("tensor", 1), ("channel", 6), ("element", 6 * 25)])
def test_pni_shares_its_scales_as_asked(share, scales):
    network, _ = defended(f"pni(share={share})", lenet())
    assert sorted(rho.numel() for rho in network.scale_parameters())[0] <= scales
    assert network.conv1.weight_rho.numel() == scales


def test_pni_learns_its_scales(images):
    network, objective = defended("pni", lenet())
    before = {name: std.detach().clone() for name, std in network.stds().items()}
    loader = [(images, torch.arange(6))] * 5
    train(network, loader, objective=objective, epochs=1, budget="linf:0.1", attack_steps=1, accelerator="cpu")
    assert all(not torch.equal(std, before[name]) for name, std in network.stds().items())


def test_adv_bnn_makes_every_parameter_random():
    network, objective = defended("adv-bnn", lenet())
    assert objective == "adversarial+kl(prior=0.1):0.02"
    assert network.deterministic_parameters() == []
    sizes = network.sizes()
    assert all(torch.allclose(std, 0.1 * sizes[name], rtol=1e-3) for name, std in network.stds().items())


@pytest.mark.parametrize("name", ["random-elbo", "random-trades"])
def test_ours_make_every_parameter_random(name):
    network, objective = defended(f"{name}(scale=0.3)", lenet())
    assert network.deterministic_parameters() == []
    assert torch.allclose(network.stds()["fc1.weight"], 0.3 * network.sizes()["fc1.weight"], rtol=1e-3)
    assert objective == {"random-elbo": "elbo(weight=0.1)", "random-trades": "trades+snr"}[name]


def test_learn2perturb_has_learned_noise_behind_every_convolution(images):
    network, objective = defended("learn2perturb", lenet())
    assert objective == "cross-entropy:0.5+adversarial:0.5+noise-growth:0.01"
    assert list(around(network)) == ["conv1", "conv2"]
    conv = network.eval().conv1
    with torch.no_grad():
        conv.behind.rho[0] = 3.0
        found = torch.stack([conv(images) - conv.layer(images) for _ in range(200)])  # (S, B, C, H, W)
    assert torch.allclose(found[:, 0], found[:, 1], atol=1e-5)
    assert has_std(found[:, 0, 1:], 0.25)
    assert has_std(found[:, 0, 0], 0.01 + float(F.softplus(torch.tensor(3.0))))


def test_the_growth_term_is_the_sum_of_roots_and_makes_noise_grow(images):
    network, _ = defended("learn2perturb", lenet())
    value = noise_growth(network, images, torch.arange(6))
    assert value.item() == pytest.approx(-(6 + 16) * math.sqrt(0.25), rel=1e-5)
    value.backward()
    assert all((p.rho.grad < 0).all() for p in network.modules() if isinstance(p, LearnedNoise))
    smallest = LearnedNoise(torch.zeros(1), 2, std=0.25, floor=0.01)
    with torch.no_grad():
        smallest.rho.fill_(-100)
    assert torch.allclose(smallest.std, torch.tensor(0.01))
    with pytest.raises(UsageError, match="learned noise"):
        noise_growth(lenet(), images, torch.arange(6))


def test_learn2perturb_learns_its_noise(images):
    network, objective = defended("learn2perturb", lenet())
    before = network.conv1.behind.std.detach().clone()
    loader = [(images, torch.arange(6))] * 5
    train(network, loader, objective=objective, epochs=1, budget="linf:0.1", attack_steps=1, accelerator="cpu")
    assert (network.conv1.behind.std != before).all()


@pytest.mark.parametrize(
    ("function", "finding"),
    [
        (lambda net, x, y: 0 * sum(p.sum() for p in net.parameters()), "no gradient reaches"),
        (lambda net, x, y: sum(p.sum() for p in net.parameters()), "does not raise UsageError"),
        (lambda net, x, y: sum(p.sum() for p in net.parameters()) * math.nan, "not a finite scalar"),
    ],
)
def test_the_conformance_suite_finds_what_is_broken_about_layers(function, finding, monkeypatch):
    real = Entry.load
    monkeypatch.setattr(Entry, "load", lambda e: function if e.name == "noise-growth" else real(e))
    with pytest.raises(AssertionError, match=finding):
        check_objective("noise-growth")


def test_an_objective_that_needs_layers_is_used_by_a_defense(monkeypatch):
    real = Entry.load
    monkeypatch.setattr(
        Entry, "load", lambda e: (lambda network: (network, "adversarial")) if e.name == "learn2perturb" else real(e)
    )
    with pytest.raises(AssertionError, match="no registered defense uses it"):
        check_objective("noise-growth")


def test_the_noise_of_wca_has_its_covariance():
    noise = CorrelatedNoise(torch.zeros(1), 5, size=1.0).eval()
    sigma = (noise.factor @ noise.factor.T).detach()
    assert (noise.factor.triu(1) == 0).all()
    assert sigma[0, 4].abs() > 0.05
    found = torch.stack([noise(torch.zeros(2, 5)) for _ in range(DRAWS)]).detach()  # (S, B, D)
    assert torch.equal(found[:, 0], found[:, 1])
    estimate = found[:, 0].T @ found[:, 0] / DRAWS
    error = ((sigma.diag()[:, None] * sigma.diag() + sigma**2) / DRAWS).sqrt()
    assert ((estimate - sigma).abs() < Z * error).all()


def test_wca_rewards_the_variance_that_the_noise_gives_the_logits(images):
    network, objective = defended("wca", lenet())
    assert objective == "cross-entropy+weight-covariance"
    assert list(around(network)) == ["fc3"]
    last, factor = network.fc3.layer, network.fc3.front.factor
    variances = (last.weight @ factor @ factor.T @ last.weight.T).diag().detach()
    assert weight_covariance(network, images, torch.arange(6)).item() == pytest.approx(-math.log(variances.sum()))
    with pytest.raises(UsageError, match="correlated noise"):
        weight_covariance(lenet(), images, torch.arange(6))
    with torch.no_grad():
        network.eval()
        logits = torch.stack([network(images[:1])[0] for _ in range(DRAWS)])  # (S, K)
    assert ((logits.var(0) / variances - 1).abs() < Z * math.sqrt(2 / DRAWS)).all()


def test_wca_starts_with_the_noise_of_32_features():
    small, large = (defended("wca", nn.Linear(size, 3))[0].front.square.detach() for size in (32, 128))
    assert 0.9 < float(small.max()) <= 1.0
    assert 0.45 < float(large.max()) <= 0.5


def test_sap_keeps_the_expectation():
    x = torch.tensor([[0.5, -1.0, 0.0, 3.0, 0.1, 0.0, 2.0, -0.2], [1.0] * 8])
    prune = Pruning(0.5).eval()
    found = torch.stack([prune(x) for _ in range(DRAWS)])
    shares = x.abs() / x.abs().sum(1, keepdim=True)
    chances = 1 - (1 - shares) ** 4
    error = (x**2 * (1 / chances - 1)).nan_to_num().div(DRAWS).sqrt()
    assert ((found.mean(0) - x).abs() <= Z * error + 1e-6).all()
    kept = (found != 0).float().mean(0)
    assert ((kept - chances).abs() <= Z * (chances * (1 - chances) / DRAWS).sqrt() + 1e-6).all()
    values = found[:, 1][found[:, 1] != 0]
    assert torch.allclose(values, torch.tensor(1 / (1 - (7 / 8) ** 4)))


def test_sap_is_off_in_training_and_survives_silence():
    prune, x = Pruning(1.0), torch.rand(2, 3, 4, 4)
    assert torch.equal(prune.train()(x), x)
    prune.eval()
    assert not torch.equal(prune(x), x)
    assert torch.equal(prune(torch.zeros(2, 7)), torch.zeros(2, 7))
    assert torch.equal(prune(torch.tensor([[0.0, 2.0]])), torch.tensor([[0.0, 2.0]]))  # its chance is 1


def test_sap_takes_its_choice_as_a_constant():
    x = torch.rand(2, 9, requires_grad=True)
    found = Pruning(1.0).eval()(x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.allclose(gradient * x, found)


def test_sap_acts_on_every_hidden_activation():
    network, _ = defended("sap", lenet())
    assert list(around(network)) == ["conv2", "fc1", "fc2", "fc3"]


def test_random_resize_differs_between_draws_and_keeps_the_shape():
    resize, ones = RandomResize(), torch.ones(2, 1, 28, 28)
    found = [resize(ones) for _ in range(400)]
    assert all(image.shape == ones.shape and torch.equal(image[0], image[1]) for image in found)
    assert {int(image[0].sum()) for image in found} == {25**2, 26**2, 27**2}
    corners = {tuple(image[0, 0].nonzero()[0].tolist()) for image in found if int(image[0].sum()) == 25**2}
    assert corners == {(top, left) for top in range(4) for left in range(4)}


def test_random_resize_takes_small_and_oblong_images(images):
    found = {tuple(RandomResize()(torch.ones(1, 1, 8, 8))[0, 0].nonzero()[0].tolist()) for _ in range(100)}
    assert found == {(0, 0), (0, 1), (1, 0), (1, 1)}
    oblong = [RandomResize()(torch.ones(1, 3, 20, 40)) for _ in range(50)]
    sides = {(int(image[0, 0].amax(1).sum()), int(image[0, 0].amax(0).sum())) for image in oblong}
    assert sides == {(18, 36), (18, 37), (19, 38), (20, 39)}
    x = torch.rand(1, 1, 8, 8, requires_grad=True)
    RandomResize()(x).sum().backward()
    assert int((x.grad > 0).sum()) == 49


def test_the_members_of_an_ensemble_are_drawn_alike():
    network = Ensemble([nn.Linear(2, 3) for _ in range(4)]).eval()
    x = torch.rand(5, 2)
    with torch.no_grad():
        answers = torch.stack([member(x) for member in network.members])  # (M, B, K)
        drawn = [int((network(x) == answers).all(2).all(1).nonzero()) for _ in range(DRAWS)]
    for member in range(4):
        assert has_mean(torch.tensor(drawn) == member, 0.25, math.sqrt(0.25 * 0.75))


def test_each_member_learns_from_its_share_of_a_batch():
    network = Ensemble([nn.Linear(2, 3) for _ in range(4)]).train()
    x = torch.rand(10, 2)  # two or three each
    answers = torch.stack([member(x) for member in network.members])  # (M, B, K)
    shares = torch.zeros(10, 4)
    for _ in range(DRAWS // 4):
        chosen = (network(x) == answers).all(2)  # (M, B)
        assert sorted(chosen.sum(1).tolist()) == [2, 2, 3, 3]
        shares += chosen.T / (DRAWS // 4)
    assert ((shares - 0.25).abs() < Z * math.sqrt(0.25 * 0.75 / (DRAWS // 4))).all()
    single = {int((network(x[:1]) == answers[:, :1]).all(2)[:, 0].nonzero()) for _ in range(100)}
    assert single == {0, 1, 2, 3}


def test_members_start_elsewhere_and_as_large():
    plain = lenet()
    weight = plain.fc1.weight.detach().clone()
    network, objective = defended("ensemble(members=3)", plain)
    assert objective == "cross-entropy"
    weights = [member.fc1.weight.detach() for member in network.members]
    assert torch.equal(weights[0], weight)
    for i, one in enumerate(weights):
        assert torch.equal(one.flatten().sort().values, weight.flatten().sort().values)
        assert all(not torch.equal(one, other) for other in weights[:i])
    network.members[1].fc1.weight.data.zero_()
    assert torch.equal(network.members[0].fc1.weight, weight)


@pytest.mark.parametrize("name", ["random-elbo", "random-trades", "pni", "adv-bnn"])
def test_noise_on_weights_is_a_random_network(name):
    assert isinstance(defended(name, lenet())[0], RandomNetwork)
    assert entries("defenses")[name].facts["random"]
