import functools
import inspect

import pytest
import torch
from installed import attacks
from torch import nn

from variate import registry
from variate.attacks.fgsm import fgsm
from variate.attacks.pgd import pgd
from variate.attacks.transfer import transfer
from variate.errors import UsageError
from variate.evaluation.evaluate import evaluate
from variate.inputs.budget import Budget
from variate.inputs.words import Tokens, inputs_of
from variate.oracle.oracle import Oracle
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.testing.attacks import check_attack, run_attack
from variate.testing.coin import Coin, shared_coin
from variate.testing.linear import LinearModel, margin, worst_margin
from variate.testing.text_attacks import TEXT, WORDS

BUDGETS = ("linf:0.05", "l2:0.2")


@pytest.mark.parametrize("name", attacks())
def test_conformance(name):
    check_attack(name)


def test_a_source_is_asked_instead_of_the_target(net, x, y):
    oracle, source = Oracle(net, stream=Stream("search", 0)), GradientOracle(net.mean(), stream=Stream("search", 0))
    found = transfer(
        oracle,
        x,
        y,
        budget=Budget.parse("linf:0.05"),
        source=functools.partial(pgd, source),
        steps=3,
    )
    assert (oracle.queries.forwards.sum(), set(source.queries.forwards)) == (0, {3})
    again = GradientOracle(net.mean(), stream=Stream("search", 0))
    assert torch.equal(found, pgd(again, x, y, budget=Budget.parse("linf:0.05"), steps=3))


def linear(classes=2, scale=1.0):
    generator = torch.Generator().manual_seed(3)
    weight = scale * torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    bias = torch.randn(classes, generator=generator, dtype=torch.float64)
    x = 0.3 + 0.4 * torch.rand(20, 1, 4, 4, generator=generator, dtype=torch.float64)
    return LinearModel(weight, bias), x, torch.arange(20) % classes


@pytest.mark.parametrize("text", BUDGETS)
def test_one_step_on_a_linear_model_is_optimal(text):
    model, x, y = linear()
    budget = Budget.parse(text)
    perturbed = fgsm(GradientOracle(model, stream=Stream("search", 0)), x, y, budget=budget)
    found = margin(model(perturbed), y)
    assert torch.allclose(found, worst_margin(model, x, y, budget), atol=1e-9)
    by_hand = (model.weight[0] - model.weight[1]).norm(p=1 if budget.norm == "linf" else 2) * budget.eps
    assert torch.allclose(margin(model(x), y) - found, by_hand.expand(20), atol=1e-9)


@pytest.mark.parametrize("text", BUDGETS)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_many_steps_on_a_linear_model_come_close_whatever_the_confidence(text, scale):
    model, x, y = linear(scale=scale)
    budget = Budget.parse(text)
    perturbed = pgd(GradientOracle(model, stream=Stream("search", 0)), x, y, budget=budget, steps=100)
    start, found, worst = margin(model(x), y), margin(model(perturbed), y), worst_margin(model, x, y, budget)
    assert bool(((start - found) / (start - worst) > 0.95).all())
    assert bool((found >= worst - 1e-9).all())


@pytest.mark.parametrize("text", BUDGETS)
def test_the_worst_margin_of_many_classes_bounds_every_point_of_the_ball(text):
    model, x, y = linear(classes=5)
    budget = Budget.parse(text)
    worst = worst_margin(model, x, y, budget)
    reached = torch.full_like(worst, torch.inf)
    for other in range(5):
        direction = (model.weight[other] - model.weight[y]).view_as(
            x
        )  # toward one other class: the optimum is one of them
        moved = budget.project(x + budget.eps * budget.steepest(direction), x)
        reached = torch.minimum(reached, margin(model(moved), y))
    assert torch.allclose(reached, worst, atol=1e-9)
    for seed in range(50):
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
        assert bool((margin(model(budget.project(x + noise, x)), y) >= worst - 1e-9).all())


@pytest.mark.parametrize(("attack", "options", "passes"), [(fgsm, {}, 1), (pgd, {"steps": 7}, 7), (pgd, {}, 40)])
@pytest.mark.parametrize("draws", [1, 3])
def test_counts_are_steps_times_draws(attack, options, passes, draws, net, x, y):
    oracle = GradientOracle(net, draws=draws, stream=Stream("search", 0))
    attack(oracle, x, y, budget=Budget.parse("linf:0.05"), **options)
    counts = oracle.queries
    for found in (counts.forwards, counts.backwards, counts.draws):
        assert found.tolist() == [passes * draws] * len(x)
    assert counts.points.tolist() == [passes] * len(x)
    assert oracle.stream.index == passes * draws


@pytest.mark.parametrize("steps", [0, -3])
def test_pgd_needs_a_step(steps, net, x, y):
    with pytest.raises(UsageError, match=f"cannot take steps={steps}"):
        pgd(GradientOracle(net, stream=Stream("search", 0)), x, y, budget=Budget.parse("linf:0.1"), steps=steps)


@pytest.mark.parametrize("text", BUDGETS)
def test_pgd_starts_uniformly_in_the_ball(text):
    """A flat network moves nothing, so that the start is what comes out."""
    budget, x = Budget.parse(text), torch.full((4000, 1, 1, 2), 0.5)
    x = x + torch.linspace(-0.01, 0.01, 4000).view(-1, 1, 1, 1)  # no two alike: the start depends on the example
    oracle = GradientOracle(Coin(0.0), stream=Stream("search", 0), kind="deterministic")
    start = pgd(oracle, x, torch.zeros(4000, dtype=torch.long), budget=budget, steps=1)
    share = (budget.distance(start, x) / budget.eps).double() ** 2  # the share of the ball's volume within that radius
    assert abs(float(share.mean()) - 0.5) < 5 * (1 / 12 / 4000) ** 0.5
    assert abs(float((share**2).mean()) - 1 / 3) < 5 * (4 / 45 / 4000) ** 0.5
    assert float((start - x).mean().abs()) < 5 * budget.eps * (1 / 3 / 8000) ** 0.5  # the variance is at most 1/3


def test_pgd_without_a_random_start_begins_at_the_inputs(x, y):
    """A flat network moves nothing."""
    oracle = GradientOracle(Coin(0.0), stream=Stream("search", 0), kind="deterministic")
    labels = torch.zeros_like(y)
    assert torch.equal(pgd(oracle, x, labels, budget=Budget.parse("linf:0.1"), steps=1, random_start=False), x)


class Worded(nn.Module):
    """A coin that has vectors of words, and whose logits depend on them alike."""

    def __init__(self, coin):
        super().__init__()
        self.tokens, self.coin = Tokens(len(WORDS), 3), coin

    def forward(self, x):
        return self.coin(self.tokens(x)[0])


@pytest.mark.parametrize("make", [lambda: Coin(0.3), lambda: shared_coin(0.3)])
@pytest.mark.parametrize("name", attacks(asking=True))
def test_no_attack_changes_the_error_of_a_coin(name, make):
    facts = registry.get("attacks", name).facts
    size = {"linf": "0.5", "l2": "1", "l1": "2", "l0": "2", "words": "2"}[facts["norms"][0]]
    coins = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 1, 2, 2, generator=coins), torch.zeros(40, dtype=torch.long)
    texts = "image" not in facts["modality"]
    result = evaluate(
        Worded(make()) if texts else make(), inputs_of(2 + torch.randint(25, (40, 6), generator=coins)) if texts else x,
        y, budget=f"{facts['norms'][0]}:{size}", attacks=[{"name": name, **facts["quick"]}], draws=10,
        deployments=["single"], verdict_draws=200, modality=TEXT if texts else "image",
    )  # fmt: skip
    for row in result.rows:
        assert row.low - 0.03 < 0.7 < row.high + 0.03
    assert len({row.rate for row in result.rows}) == 1  # the same verdict draws, and answers that nothing moves


def too_far(oracle, x, y, *, budget, target=None):
    return fgsm(oracle, x, y, budget=budget.with_size("0.5"))


def another_shape(oracle, x, y, *, budget, target=None):
    return fgsm(oracle, x, y, budget=budget).flatten(1)


def idle(oracle, x, y, *, budget, target=None):
    return x


def in_place(oracle, x, y, *, budget, target=None):
    return fgsm(oracle, x.mul_(0.9), y, budget=budget)


def own_coins(oracle, x, y, *, budget, target=None):
    torch.rand(1)
    return fgsm(oracle, x, y, budget=budget)


def universal(oracle, x, y, *, budget, target=None):
    return budget.project(x + oracle.gradient(x, y)[1].mean(0).sign(), x)


def half_way(oracle, x, y, *, budget, target=None):
    return (fgsm(oracle, x, y, budget=budget) + x) / 2


def denoised(oracle, x, y, *, budget, target=None):
    oracle.network.eval()
    return fgsm(oracle, x, y, budget=budget)


def damaging(oracle, x, y, *, budget, target=None):
    with torch.no_grad():
        next(oracle.network.parameters()).mul_(2)
    return fgsm(oracle, x, y, budget=budget)


def unclean(oracle, x, y, *, budget, target=None):
    oracle.network(x).sum().backward()
    return fgsm(oracle, x, y, budget=budget)


def restless(oracle, x, y, *, budget, target=None):
    return fgsm(oracle, x, y, budget=budget.with_size("0.01"))


BROKEN = {
    too_far: "left the budget",
    another_shape: "returned shape",
    idle: r"its access is gradient, but it made \[0 0 0\] forward",
    in_place: "changes its inputs in place",
    own_coins: "torch's global generator",
    universal: "in a batch and alone",
    half_way: "of the margin",
    denoised: "the network's mode",
    damaging: "it changes ",
    unclean: "leaves a gradient",
    restless: "with a budget of 0",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_the_conformance_suite_finds_what_is_broken(broken, monkeypatch):
    load = registry.Entry.load
    monkeypatch.setattr(registry.Entry, "load", lambda entry: broken if entry.name == "fgsm" else load(entry))
    with pytest.raises(AssertionError, match=BROKEN[broken]):
        check_attack("fgsm")


def test_run_attack_wires_the_oracle_that_the_access_names(x, y):
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    perturbed, oracle = run_attack(registry.get("attacks", "fgsm"), network, x, y, Budget.parse("linf:0.1"))
    assert type(oracle) is GradientOracle
    assert bool(Budget.parse("linf:0.1").contains(perturbed, x).all())


@pytest.mark.parametrize("name", list(registry.entries("attacks")))
def test_an_attack_takes_a_target_exactly_if_it_says_so(name):
    entry = registry.get("attacks", name)
    assert ("target" in inspect.signature(entry.load()).parameters) == entry.facts["targeted"]
