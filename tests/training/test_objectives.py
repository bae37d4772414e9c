import copy
import math
from contextlib import nullcontext

import pytest
import torch
from torch.nn import functional as F

from variate import registry
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import divergence, margin
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.testing import objectives
from variate.testing.objectives import check_objective
from variate.training.clock import Clock
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.adversarial import adversarial
from variate.training.objectives.awp import awp
from variate.training.objectives.consistency import consistency
from variate.training.objectives.cross_entropy import cross_entropy
from variate.training.objectives.distillation import distillation
from variate.training.objectives.entropy import entropy
from variate.training.objectives.gradient_diversity import gradient_diversity
from variate.training.objectives.margin_variance import margin_variance
from variate.training.objectives.mart import mart
from variate.training.objectives.snr import snr
from variate.training.objectives.trades import trades
from variate.training.recipe import Recipe
from variate.training.wiring import wire


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


@pytest.fixture
def shifted():
    """An inner attack that halves its inputs, and notes how it was asked."""

    class Shifted:
        asked: list[dict]

        def __init__(self):
            self.asked = []

        def __call__(self, x, y, **options):
            self.asked.append(options)
            return x / 2

        def one_draw(self):
            return nullcontext()

    return Shifted()


def test_adversarial_is_cross_entropy_at_the_perturbed_inputs(mlp, x, y, shifted):
    assert torch.equal(adversarial(mlp, x, y, perturb=shifted), F.cross_entropy(mlp(x / 2), y))
    adversarial(mlp, x, y, perturb=shifted, draws=3, steps=1, step_size=1.25)
    assert shifted.asked[1] == {"draws": 3, "steps": 1, "step_size": 1.25}


def test_the_inner_attack_raises_the_loss_within_the_budget(mlp, x, y):
    perturb = InnerAttack(mlp, Stream("train", 0), Budget.parse("linf:0.1"), steps=5, seed=0)
    found = perturb(x, y)
    assert float((found - x).abs().max()) <= 0.1 + 1e-6
    assert F.cross_entropy(mlp(found), y) > F.cross_entropy(mlp(x), y)
    assert perturb(x, y) is found  # objectives that are summed share it
    starts = []
    for _ in range(2):
        perturb.forget()
        starts.append(perturb(x, y, steps=1, step_size=0.01))
    assert not torch.equal(*starts)  # every batch begins elsewhere


def test_one_draw_serves_the_attack_and_the_loss(net, x, y):
    stream = Stream("train", 0)
    perturb = InnerAttack(net, stream, Budget.parse("linf:0.1"), steps=4, seed=0)
    key = Stream("train", 0).next()
    with net.keys_from(stream):
        with perturb.one_draw():
            found = perturb(x, y)
            logits = net(x)
        assert stream.index == 1
        assert torch.equal(logits, net.at(key)(x))
    plain = InnerAttack(net.at(key), Stream("train", 0, index=1), Budget.parse("linf:0.1"), steps=4, seed=0)
    assert torch.allclose(found, plain(x, y), atol=1e-6)


def test_trades_is_the_published_loss(mlp, x, y, shifted):
    clean, moved = mlp(x), mlp(x / 2)
    expected = F.cross_entropy(clean, y) + 3 * F.kl_div(moved.log_softmax(1), clean.softmax(1), reduction="batchmean")
    assert trades(mlp, x, y, perturb=shifted, weight=3).item() == pytest.approx(expected.item(), rel=1e-5)
    assert shifted.asked[0]["loss"] is divergence


def test_trades_attacks_the_divergence_from_the_answers(mlp, x, y):
    perturb = InnerAttack(mlp, Stream("train", 0), Budget.parse("linf:0.1"), steps=5, seed=0)
    answers = mlp(x).softmax(1).detach()
    found = perturb(x, answers, loss=divergence)
    start = divergence(mlp(x + 0.05), answers)
    assert bool((divergence(mlp(found), answers) > start).float().mean() > 0.8)


def test_mart_is_the_published_loss(mlp, x, y, shifted):
    clean, moved = mlp(x).softmax(1), mlp(x / 2).softmax(1)
    rows = torch.arange(len(x))
    other = moved.clone()
    other[rows, y] = 0
    boosted = -moved[rows, y].log() - (1.0001 - other.amax(1)).log()
    disagreement = (clean * (clean.log() - moved.log())).sum(1)
    expected = (boosted + 2 * disagreement * (1 - clean[rows, y])).mean()
    assert mart(mlp, x, y, perturb=shifted, weight=2).item() == pytest.approx(expected.item(), rel=1e-4)


def test_awp_has_the_gradient_of_the_worst_weights_nearby(mlp, x, y, shifted):
    before = [p.detach().clone() for p in mlp.parameters()]
    value = awp(mlp, x, y, perturb=shifted, size=0.02)
    assert all(torch.allclose(p, b, atol=1e-7) for p, b in zip(mlp.parameters(), before, strict=True))
    found = torch.autograd.grad(value, list(mlp.parameters()))
    worse = copy.deepcopy(mlp)
    slopes = torch.autograd.grad(F.cross_entropy(mlp(x / 2), y), list(mlp.parameters()))
    with torch.no_grad():
        for p, slope in zip(worse.parameters(), slopes, strict=True):
            p.add_(0.02 * p.norm() * slope / slope.norm())
    loss = F.cross_entropy(worse(x / 2), y)
    assert value.item() == pytest.approx(loss.item(), rel=1e-4)
    assert value > F.cross_entropy(mlp(x / 2), y)
    for one, other in zip(found, torch.autograd.grad(loss, list(worse.parameters())), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_the_divergence_counts_examples_and_rises(net, x, y):
    def value(**facts):
        return wire(Recipe("kl(prior=0.5, rise=0.5)"), net, Stream("train", 0), clock=Clock(**facts))(net, x, y).item()

    whole = net.kl(0.5).item()
    assert value(examples=10, total=8, step=8) == pytest.approx(whole / 10, rel=1e-5)
    assert value(examples=10, total=8, step=1) == pytest.approx(whole / 10 / 4, rel=1e-5)
    assert value(examples=10, total=8, step=0) == 0
    with net.fixed(1):
        bound = wire(Recipe("elbo(prior=0.5, weight=0.1)"), net, Stream("train", 0), clock=Clock(10, 1, 1))(net, x, y)
        assert bound.item() == pytest.approx(F.cross_entropy(net(x), y).item() + 0.1 * whole / 10, rel=1e-5)


def test_entropy_is_relative_to_the_size_of_each_tensor(mlp, x, y):
    values = [entropy(randomize(mlp, scale=scale), x, y).item() for scale in (0.1, 0.2)]
    assert values[0] - values[1] == pytest.approx(math.log(2), rel=1e-3)
    assert values[0] == pytest.approx(-0.5 * math.log(2 * math.pi * math.e) - math.log(0.1), abs=0.01)


def test_consistency_is_zero_where_nothing_is_random(mlp, x, y, shifted):
    assert consistency(mlp, x, y, perturb=shifted).item() == pytest.approx(0, abs=1e-6)
    few, many = (consistency(randomize(mlp, scale=s), x, y, perturb=shifted).item() for s in (0.05, 0.5))
    assert 0 < few < many


def test_gradient_diversity_is_the_cosine_of_two_draws_gradients(mlp, x, y, shifted):
    assert gradient_diversity(mlp, x, y, perturb=shifted).item() == pytest.approx(1, abs=1e-5)
    net = randomize(mlp, scale=1.0)
    with net.keys_from(Stream("train", 0)):
        found = gradient_diversity(net, x, y, perturb=shifted)
    slopes = []
    for key in Stream("train", 0).take(2):
        leaf = (x / 2).requires_grad_()
        slopes.append(torch.autograd.grad(F.cross_entropy(net.at(key)(leaf), y), leaf)[0].flatten(1))
    assert found.item() == pytest.approx(F.cosine_similarity(*slopes).square().mean().item(), rel=1e-3)
    assert found < 0.9


def test_margin_variance_is_the_chance_of_a_wrong_draw(mlp, x, y, shifted):
    value = margin_variance(mlp, x, y, perturb=shifted).item()
    margins = -margin(mlp(x / 2), y)
    assert value == pytest.approx(-torch.special.log_ndtr(margins / 0.1).mean().item(), rel=1e-4)
    net = randomize(mlp, scale=0.5)
    with net.keys_from(Stream("train", 0)):
        found = margin_variance(net, x, y, perturb=shifted, verdicts=3).item()
    draws = torch.stack([-margin(net.at(k)(x / 2), y) for k in Stream("train", 0).take(3)])
    expected = -torch.special.log_ndtr(draws.mean(0) / (draws.var(0) + 0.01).sqrt()).mean().item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_distillation_learns_the_softened_answers(mlp, x, y):
    teacher = copy.deepcopy(mlp)
    assert distillation(mlp, x, y, teacher=teacher, temperature=5.0).requires_grad
    slopes = torch.autograd.grad(distillation(mlp, x, y, teacher=teacher, temperature=5.0), list(mlp.parameters()))
    assert all(float(slope.abs().max()) < 1e-6 for slope in slopes)  # the teacher itself is the best student
    with pytest.raises(UsageError, match="needs a teacher"):
        wire(Recipe("distillation"), mlp, Stream("train", 0))


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
