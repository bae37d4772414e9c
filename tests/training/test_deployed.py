"""``deployed``: the objective, the inner attack and the validation are those of the mean of several draws."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import variate
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.random.average import EnsembleNetwork, mean_log_probabilities
from variate.random.keys import Stream
from variate.training import deployed
from variate.training.defense import defended
from variate.training.deployed import DeployedMean, trained_draws
from variate.training.inner_attack import InnerAttack
from variate.training.recipe import Recipe
from variate.training.wiring import wire

X, Y = torch.linspace(0.1, 0.9, 60).view(12, 5), torch.arange(12) % 3


def mlp(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def joined(count=3, **options):
    members = [mlp(seed) for seed in range(count)]
    return members, variate.as_modes(members, **{"around": "fixed", **options})


def test_the_objective_is_that_of_the_mean_and_of_each_mode():
    members, net = joined()
    loss = wire(Recipe("cross-entropy", each_draw=0.5), net, Stream("train", 0))(net, X, Y)
    outputs = torch.stack([member(X) for member in members])
    of_mean = F.nll_loss(mean_log_probabilities(outputs), Y)
    each = torch.stack([F.cross_entropy(output, Y) for output in outputs])
    assert loss.item() == pytest.approx((of_mean + 0.5 * each.mean()).item(), rel=1e-5)
    loss.backward()
    (of_mean + 0.5 * each.mean()).backward()
    slopes = torch.stack([member[0].weight.grad for member in members])  # of each center
    assert torch.allclose(net[0].weight.grad, slopes.sum(0), atol=1e-6)
    assert torch.allclose(net.get_parameter("0.weight_offsets").grad, slopes - slopes.mean(0), atol=1e-6)


@pytest.mark.parametrize("batch", [5, 60])  # in a group, and in a loop
def test_learned_probabilities_have_the_gradient_of_all_modes(batch):
    net = variate.randomize(mlp(0), "modes(count=3, around=fixed, probabilities=learned)", scale=0.5)
    with torch.no_grad():
        net.network_logits.copy_(torch.tensor([0.7, -0.2, 0.1]))
    x, y = X.repeat(5, 1)[:batch], Y.repeat(5)[:batch]
    loss = wire(Recipe("cross-entropy", each_draw=1.0), net, Stream("train", 0))

    def expected(logits):
        shares = logits.softmax(0)
        values = {}
        for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
            offsets = net.get_parameter(f"{name}_offsets")
            centers = net.get_parameter(name) + offsets - torch.tensordot(shares, offsets, 1)
            values[name] = centers
        plain = mlp(0)
        outputs = torch.stack(
            [torch.func.functional_call(plain, {n: v[m] for n, v in values.items()}, (x,)) for m in range(3)]
        )
        each = torch.stack([F.cross_entropy(output, y) for output in outputs])
        return F.nll_loss(mean_log_probabilities(outputs, shares), y) + (shares * each).sum()

    logits = net.network_logits.detach().clone().requires_grad_()
    value = expected(logits)
    found = loss(net, x, y)
    assert found.item() == pytest.approx(value.item(), rel=1e-5)
    slope, right = torch.autograd.grad(found, net.network_logits)[0], torch.autograd.grad(value, logits)[0]
    assert float(right.abs().max()) > 1e-3
    assert torch.allclose(slope, right, atol=1e-5)


def test_the_inner_attack_climbs_the_loss_of_the_mean():
    members, net = joined()
    budget, options = Budget.parse("linf:0.1"), {"steps": 5, "seed": 0}
    found = InnerAttack(DeployedMean(net, 3, plain=net), Stream("train", 0), budget, **options)(X, Y)
    expected = InnerAttack(EnsembleNetwork(members), Stream("train", 0), budget, **options)(X, Y)
    single = InnerAttack(net, Stream("train", 0), budget, **options)(X, Y)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(single, expected, atol=1e-2)


def test_a_mean_takes_one_key_and_any_other_family_independent_draws():
    net = variate.randomize(mlp(0), scale=0.5)
    mean = DeployedMean(net, 4, plain=net)
    with torch.no_grad():
        with net.fixed(7):
            first, again = mean(X), mean(X)
        assert torch.equal(first, again)
        variate.set_seed(net, 0)
        one, other = mean(X), mean(X)
    assert not torch.equal(one, other)
    assert variate.stream(net).index == 2
    assert torch.allclose(one.exp().sum(1), torch.ones(12))


def test_small_batches_run_in_a_group_with_the_same_loss(monkeypatch):
    net = variate.randomize(mlp(0), "modes(count=4)", scale=0.3).train()
    recipe, groups, whole = Recipe("cross-entropy"), [], deployed.grouped

    def spied(*arguments, **options):
        groups.append(len(arguments[2]))
        return whole(*arguments, **options)

    monkeypatch.setattr(deployed, "grouped", spied)
    values, slopes = [], []
    for size in (4, 1):
        if size == 1:
            monkeypatch.setattr(deployed, "group_size", lambda *_, **__: 1)
        with net.keys_from(Stream("train", 1)):
            value = wire(recipe, net, Stream("train", 0))(net, X[:6], Y[:6])
        values.append(value.item())
        slopes.append(torch.autograd.grad(value, list(net.parameters())))
    assert groups == [4]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*slopes, strict=True))


def test_training_validates_the_mean(monkeypatch):
    members = [nn.Linear(5, 2), nn.Linear(5, 2)]
    with torch.no_grad():
        for member, bias in zip(members, ([4.0, 0.0], [0.0, 1.0]), strict=True):
            member.weight.zero_()
            member.bias.copy_(torch.tensor(bias))
    net = variate.as_modes(members, around="fixed")
    y = torch.zeros(12, dtype=torch.long)
    options = {"validation": (X, y), "epochs": 8, "lr": 0.0, "accelerator": "cpu"}
    history = variate.train(net, [(X, y)], **options)
    assert history.validation == [1.0] * 8  # of one draw: 1 or 0
    history = variate.train(net, [(X, y)], deployed="single", **options)
    assert set(history.validation) == {0.0, 1.0}
    history = variate.train(
        net, [(X, y)], budget="linf:0.01", keep="best", attack_steps=1, validation_steps=1, **options
    )
    assert history.robust == [1.0] * 8


def test_what_is_trained_by_default():
    assert trained_draws(Recipe("adversarial"), variate.randomize(mlp(0), "modes(count=5)")) == 5
    assert trained_draws(Recipe("adversarial", deployed="single"), variate.randomize(mlp(0), "modes(count=5)")) == 1
    assert trained_draws(Recipe("awp"), variate.randomize(mlp(0), "modes(count=5)")) == 1
    assert trained_draws(Recipe("adversarial"), variate.randomize(mlp(0))) == 1
    assert trained_draws(Recipe("adversarial", deployed="mean-4"), variate.randomize(mlp(0))) == 4
    assert trained_draws(Recipe("adversarial"), mlp(0)) == 1


@pytest.mark.parametrize(
    ("options", "network", "message"),
    [
        ({"deployed": "majority-4"}, "normal", "has no gradient"),
        ({"deployed": "mean"}, "normal", "no size"),
        ({"deployed": "men-4"}, "normal", "no deployment"),
        ({"deployed": "mean-4"}, None, "without random parameters"),
        ({"deployed": "mean-4", "objective": "awp", "budget": "linf:0.1"}, "normal", "looks inside"),
        ({"deployed": "mean-4"}, "modes(count=3, probabilities=learned)", "equally often"),
    ],
)
def test_means_that_cannot_be_trained(options, network, message):
    net = mlp(0) if network is None else variate.randomize(mlp(0), network)
    with pytest.raises(UsageError, match=message):
        variate.train(net, [(X, Y)], epochs=1, accelerator="cpu", **options)


def test_modes_at_starts_from_different_networks_of_one_scale():
    plain = mlp(0)
    net, objective = defended("modes-at(modes=3, around=fixed)", plain)
    assert objective == "adversarial"
    assert trained_draws(Recipe(objective), net) == 3
    weights = [net.at(key)[0].weight.detach() for key in variate.stratified(net, [1, 2, 3])]
    values = [sorted(weight.flatten().tolist()) for weight in weights]
    for one in values[1:]:
        assert one == pytest.approx(values[0], abs=1e-6)  # permuted
    assert float(torch.pdist(torch.stack(weights).flatten(1)).min()) > 1
    near, _ = defended("modes-at(modes=3, around=fixed, apart=0.1)", plain)
    original = plain[0].weight.detach()
    for key in variate.stratified(near, [1, 2, 3]):
        assert float((near.at(key)[0].weight.detach() - original).norm()) < 0.3 * float(original.norm())
    with pytest.raises(UsageError, match="apart"):
        defended("modes-at(apart=0.0)", plain)


def test_modes_at_learns_and_its_modes_stay_apart():
    torch.manual_seed(0)
    x = torch.rand(96, 5)
    y = (x[:, :3].argmax(1)).long()
    net, objective = defended("modes-at(modes=3)", mlp(0))
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 96, 16)]
    options = {"budget": "linf:0.02", "attack_steps": 2, "accelerator": "cpu", "lr": 0.02}
    history = variate.train(net, batches, objective=objective, epochs=12, **options)
    assert history.losses[-1] < 0.6 * history.losses[0]
    with torch.no_grad():
        outputs = torch.stack([net.at(key)(x) for key in variate.stratified(net, [1, 2, 3])])
        assert float((mean_log_probabilities(outputs).argmax(1) == y).float().mean()) > 0.8
        assert float(outputs.std(0).mean()) > 0.1
