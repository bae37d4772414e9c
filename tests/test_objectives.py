import math

import pytest
import torch
from torch.nn import functional as F

from variate import registry
from variate.errors import UsageError
from variate.objectives.adversarial import adversarial
from variate.objectives.cross_entropy import cross_entropy
from variate.objectives.snr import snr
from variate.randomization import randomize
from variate.randomness import Stream
from variate.testing import objectives
from variate.testing.objectives import check_objective
from variate.training import Recipe, wire


@pytest.mark.parametrize("name", registry.entries("objectives"))
def test_conformance(name):
    check_objective(name)


BROKEN = {
    "by example": (lambda net, x, y: F.cross_entropy(net(x), y, reduction="none"), "not a finite scalar"),
    "infinite": (lambda net, x, y: net(x).sum() * math.inf, "not a finite scalar"),
    "partial": (lambda net, x, y: net[1](x.flatten(1)).sum(), "no gradient reaches"),
    "in place": (lambda net, x, y: F.cross_entropy(net(x.mul_(0.5)), y), "changes its inputs"),
    "mean only": (lambda net, x, y: F.cross_entropy(net.mean()(x) if hasattr(net, "sites") else net(x), y), "reaches"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_conformance_suite_finds_what_is_broken(case, monkeypatch):
    function, finding = BROKEN[case]
    monkeypatch.setattr(registry.Entry, "load", lambda entry: function)
    with pytest.raises(AssertionError, match=finding):
        objectives.check_objective("cross-entropy")


def test_cross_entropy_is_that_of_one_fresh_draw(net, x, y):
    with net.keys_from(Stream("train", 0)):
        found = cross_entropy(net, x, y)
    assert net.stream.name == "serve"
    expected = F.cross_entropy(net.at(Stream("train", 0).next())(x), y)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_adversarial_uses_a_draw_that_the_inner_attack_has_not_seen(net, x, y):
    stream, recipe = Stream("train", 0), Recipe("adversarial", budget="linf:0.1", attack_steps=3)
    loss = wire(recipe, net, stream)
    with net.keys_from(stream):
        loss(net, x, y)
    assert stream.index == 4  # one key for each step, and another for the loss


def test_adversarial_is_cross_entropy_at_the_perturbed_inputs(mlp, x, y):
    found = adversarial(mlp, x, y, perturb=lambda x, y: x / 2)
    assert torch.equal(found, F.cross_entropy(mlp(x / 2), y))


@pytest.mark.parametrize(("scale", "target"), [(0.01, 5.0), (0.05, 10.0), (0.2, 5.0), (1.0, 5.0), (0.1, 20.0)])
def test_snr_is_a_ceiling_on_the_ratio(mlp, x, y, scale, target):
    value = snr(randomize(mlp, scale=scale), x, y, target=target).item()
    assert value == pytest.approx(max(0.0, math.log(1 / scale / target)) ** 2, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_snr_cannot_be_escaped_by_the_size_of_the_weights(mlp, x, y, factor):
    net = randomize(mlp, scale=0.01)
    before = snr(net, x, y)
    slopes = torch.autograd.grad(before, list(net.parameters()), allow_unused=True)
    with torch.no_grad():
        for site in net.sites:
            net.get_parameter(site.name).mul_(factor)
        for scale in net.scale_parameters():
            scale.copy_(torch.log(torch.expm1(factor * F.softplus(scale))))
    assert snr(net, x, y).item() == pytest.approx(before.item(), rel=1e-3)
    known = {id(scale) for scale in net.scale_parameters()}
    for parameter, slope in zip(net.parameters(), slopes, strict=True):
        assert (slope is not None) == (id(parameter) in known)
        assert slope is None or bool((slope < 0).all())  # descent raises every scale


def test_objectives_add_up_with_their_weights(net, x, y):
    with net.fixed(1):
        parts = [wire(Recipe(text), net, Stream("train", 0))(net, x, y).item() for text in ("cross-entropy", "snr:0.5")]
        total = wire(Recipe("cross-entropy+snr:0.5"), net, Stream("train", 0))(net, x, y).item()
    assert total == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cross-entrpy", "did you mean 'cross-entropy'"),
        ("snr:x", "weight of snr is 'x'"),
        ("adversarial", "needs a budget"),
        ("", "is not an objective"),
    ],
)
def test_objectives_that_cannot_be_wired(text, message, net):
    with pytest.raises(UsageError, match=message):
        wire(Recipe(text), net, Stream("train", 0))


def test_an_objective_about_scales_needs_scales(mlp):
    with pytest.raises(UsageError, match="this network has none"):
        wire(Recipe("snr"), mlp, Stream("train", 0))
