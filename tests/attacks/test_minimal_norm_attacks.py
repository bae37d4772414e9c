"""Attacks of minimal norm, and the attack on a set of draws member by member."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from variate.attacks.arc import arc
from variate.attacks.cw import cw
from variate.attacks.ddn import ddn
from variate.attacks.deepfool import deepfool
from variate.attacks.fmn import fmn
from variate.attacks.jsma import jsma
from variate.attacks.parts.smallest import REPEATS, Smallest
from variate.attacks.pgd import pgd
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import margin as raised
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.random.strata import mode_of
from variate.testing.linear import LinearModel, margin, smallest_distance, worst_margin

WIDE = {"linf": "linf:0.3", "l2": "l2:1.2"}
IN_L2 = [
    (cw, {"steps": 100, "searches": 7, "step_size": 0.01}),
    (ddn, {"steps": 200}),
    (deepfool, {"steps": 5}),
]
SIGMA = 0.3  # of the noise on the margin


def oracle_of(model, draws=1, seed=0, examples=0):
    return GradientOracle(model, draws=draws, stream=Stream("search", seed), examples=examples)


def linear(classes=4, examples=6):
    """A linear model with nearby boundaries, and inputs in [0.4, 0.6] with the labels that it gives them."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    x = 0.4 + 0.2 * torch.rand(examples, 1, 4, 4, generator=generator, dtype=torch.float64)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


class NoisyBias(nn.Module):
    """A linear model of two classes; a draw adds N(0, SIGMA^2) to the margin of all examples."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.weight = nn.Parameter(torch.randn(16, generator=generator, dtype=torch.float64))

    def forward(self, x):
        ahead = (x - 0.5).flatten(1) @ self.weight + 0.5 + SIGMA * torch.randn((), dtype=x.dtype)  # (B,)
        return torch.stack([ahead, torch.zeros_like(ahead)], 1)  # (B, 2)


class Trap(nn.Module):
    """Two linear members, opposed: a steep one that no input within linf:0.05 breaks, and a flat one that can be."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.ones(16, dtype=torch.float64))

    def forward(self, x):
        along = (x - 0.5).flatten(1) @ self.slope  # (B,), at most 0.8 away within the budget
        ahead = 1.7 + 2 * along if torch.rand(()) < 0.5 else 0.2 - 0.3 * along
        return torch.stack([ahead, torch.zeros_like(ahead)], 1)  # (B, 2)


@pytest.mark.parametrize(("attack", "options"), IN_L2)
def test_the_nearest_point(attack, options):
    """Of two classes for ddn: the cross-entropy of many does not point at the nearest one."""
    model, x, y = linear(classes=2 if attack is ddn else 4)
    found = attack(oracle_of(model), x, y, budget=Budget.parse(WIDE["l2"]), **options)
    ratio = (found - x).flatten(1).norm(dim=1) / smallest_distance(model, x, y, "l2")
    assert bool((margin(model(found), y) < 0).all())
    assert bool((ratio > 1).all())
    assert bool((ratio < 1.05).all())


class Noisy(nn.Module):
    """Logits with noise for each example, and the sizes of the batches that it has seen."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.sizes = inner, set()

    def forward(self, x):
        self.sizes.add(len(x))
        logits = self.inner(x)
        return logits + torch.randn(len(x), 1) * torch.eye(1, logits.shape[1])


def test_arc_asks_a_network_with_noise_for_each_example_about_the_same_batch_only(net, x, y):
    """Under a key such a network repeats its noise only at the same place of a batch of the same size."""
    noisy = Noisy(net.mean())
    oracle = GradientOracle(noisy, draws=3, stream=Stream("search", 0), examples=len(x), kind="unkeyed")
    arc(oracle, x, y, budget=Budget.parse("linf:0.1"), steps=2)
    assert noisy.sizes == {len(x)}


def test_the_set_of_arc_holds_every_mode(x, y):
    torch.manual_seed(0)
    network = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "modes(count=4)", scale=0.1)
    used = []
    with pytest.MonkeyPatch.context() as patch:
        each = GradientOracle.each
        patch.setattr(GradientOracle, "each", lambda self, *a, **k: used.extend(a[3]) or each(self, *a, **k))
        arc(oracle_of(network, 4), x, y, budget=Budget.parse("linf:0.1"), steps=1)
    assert {mode_of(network, key) for key in used} == {0, 1, 2, 3}


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_deepfool_on_a_linear_model_is_the_distance_and_the_overshoot(norm):
    model, x, y = linear()
    budget = Budget.parse(WIDE[norm])
    found = deepfool(oracle_of(model), x, y, budget=budget, steps=3, overshoot=0.02)
    expected = 1.02 * smallest_distance(model, x, y, norm)
    assert torch.allclose(budget.distance(found, x), expected, rtol=1e-6)


@pytest.mark.parametrize(("attack", "options"), IN_L2)
def test_what_lies_outside_of_the_budget_ends_on_its_edge(attack, options):
    model, x, y = linear(classes=2)
    half = Fraction(float(smallest_distance(model, x, y, "l2").min())).limit_denominator(1000) / 2
    budget = Budget.parse(f"l2:{half}")
    found = attack(oracle_of(model), x, y, budget=budget, **options)
    with torch.no_grad():
        start, ends = margin(model(x), y), margin(model(found), y)
        taken = (start - ends) / (start - worst_margin(model, x, y, budget))
    assert bool(budget.contains(found, x).all())
    assert bool((taken > 0.9).all())


@pytest.mark.parametrize(("attack", "options"), IN_L2)
def test_the_confidence_is_exceeded_and_costs_its_distance(attack, options):
    model, x, y = linear(classes=2)
    confidence = 0.5
    found = attack(oracle_of(model), x, y, budget=Budget.parse("l2:2"), confidence=confidence, **options)
    with torch.no_grad():
        gap = margin(model(x), y)
        assert bool((margin(model(found), y) < -confidence).all())
    slope = (model.weight[0] - model.weight[1]).norm()
    ratio = (found - x).flatten(1).norm(dim=1) / ((gap + confidence) / slope)
    assert bool((ratio < 1.05).all())


@pytest.mark.parametrize(("attack", "options"), [pair for pair in IN_L2 if pair[0] is not deepfool])
def test_targets_are_reached(attack, options):
    model, x, y = linear()
    target = (y + 1) % 4
    found = attack(oracle_of(model), x, y, budget=Budget.parse("l2:3"), target=target, **options)
    assert model(found).argmax(1).tolist() == target.tolist()


def test_jsma_changes_the_fewest_values_each_to_an_end():
    model, x, y = linear(classes=2)
    found = jsma(oracle_of(model), x, y, budget=Budget.parse("l0:16"))
    changed = found != x
    assert changed.flatten(1).sum(1).tolist() == smallest_distance(model, x, y, "l0").int().tolist()
    assert set(found[changed].tolist()) <= {0.0, 1.0}
    assert bool((margin(model(found), y) < 0).all())


def test_jsma_stops_at_its_budget_and_aims():
    model, x, y = linear()
    small = jsma(oracle_of(model), x, y, budget=Budget.parse("l0:1"))
    assert (small != x).flatten(1).sum(1).tolist() == [1] * len(x)
    target = (y + 1) % 4
    aimed = jsma(oracle_of(model), x, y, budget=Budget.parse("l0:16"), target=target)
    assert model(aimed).argmax(1).tolist() == target.tolist()


@pytest.mark.parametrize(
    ("attack", "options"),
    [(cw, {"steps": 40, "searches": 5, "step_size": 0.02}), (ddn, {"steps": 100}), (deepfool, {"steps": 10})],
)
def test_random_networks_are_attacked_on_average(attack, options):
    """The noise is mean 0: the averaged margin is that of the network without it, at a known distance.

    An average over K draws is off by SIGMA / K ** 0.5 logits, z of them either way.
    """
    model, draws, z = NoisyBias(), 40, 5
    x = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64)
    x = x + 0.01 * torch.arange(3, dtype=x.dtype).view(-1, 1, 1, 1)
    y = torch.zeros(3, dtype=torch.long)
    found = attack(oracle_of(model, draws), x, y, budget=Budget.parse("l2:1.2"), **options)
    left = (found - 0.5).flatten(1) @ model.weight + 0.5  # the averaged margin of the label, exactly
    allowed = z * SIGMA / draws**0.5
    assert bool((left < allowed).all())  # adversarial on average
    start = (x - 0.5).flatten(1) @ model.weight + 0.5
    size = (found - x).flatten(1).norm(dim=1) * model.weight.norm()  # in logits
    assert bool((size > start - allowed).all())  # no lucky draw was taken for a success
    assert bool((size < 1.25 * (start + allowed)).all())


def test_a_lucky_success_is_not_confirmed():
    """One window saw a success at the inputs themselves; asked again, they are not adversarial."""
    model, x, y = linear(classes=2)
    budget = Budget.parse("l2:1.2")
    far = x + 0.6 * budget.steepest((model.weight[1 - y] - model.weight[y]).view_as(x))
    smallest, every = Smallest(x, budget, 4, windows=2), torch.ones(len(x), dtype=torch.bool)
    smallest.note(1, x, every)
    smallest.note(2, far, every)
    found, won = smallest.confirmed(oracle_of(model, examples=len(x)), y, raised, x, confidence=0.0)
    assert torch.allclose(found, far)
    assert bool(won.all())


@pytest.mark.parametrize(
    ("attack", "options"),
    [(cw, {"steps": 40, "searches": 5, "step_size": 0.02}), (ddn, {}), (deepfool, {"steps": 20}), (fmn, {})],
)
def test_a_lucky_draw_at_the_inputs_does_not_end_the_search(attack, options):
    """One draw an answer, and the first one wrong about the inputs themselves, which nineteen of twenty get right."""
    model, y = NoisyBias(), torch.zeros(1, dtype=torch.long)
    x = torch.full((1, 1, 4, 4), 0.5, dtype=torch.float64)
    margins = [float(oracle_of(model, seed=seed).loss(x, y, raised)) for seed in range(100)]
    seed = next(seed for seed, lucky in enumerate(margins) if lucky > 0)
    found = attack(oracle_of(model, seed=seed), x, y, budget=Budget.parse("l2:1.2"), **options)
    left = (found - 0.5).flatten(1) @ model.weight + 0.5  # 0.5 at the inputs
    assert float(left.detach()) < 3 * SIGMA / REPEATS**0.5  # what confirms is a mean over as many draws


def test_fmn_finds_few_values_with_a_budget_of_as_many(mlp):
    """A ball that may not outgrow a small budget fixes the values that move first."""
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = mlp(x).argmax(1)
    wide, budget = (fmn(oracle_of(mlp), x, y, budget=Budget.parse(text)) for text in ("l0:16", "l0:2"))
    with torch.no_grad():
        few = (mlp(wide).argmax(1) != y) & ((wide != x).flatten(1).sum(1) <= 2)
        again = mlp(budget).argmax(1) != y
    assert int(few.sum()) > 40
    assert bool(again[few].all())


def test_without_a_success_the_last_point_is_projected():
    model, x, y = linear(classes=2)
    budget = Budget.parse("l2:0.001")
    far = x + 0.6 * budget.steepest((model.weight[1 - y] - model.weight[y]).view_as(x))
    found, won = Smallest(x, budget, 4).confirmed(oracle_of(model, examples=len(x)), y, raised, far, confidence=0.0)
    assert torch.allclose(found, budget.project(far, x))
    assert not bool(won.any())


@pytest.mark.parametrize("draws", [1, 3])
def test_counts(draws, net, x, y):
    """Steps, and at the end five stretches of the best of each window, repeatedly; cw asks once before."""
    budget, many = Budget.parse("l2:0.5"), {"steps": 8}
    expected = [
        (cw, {**many, "searches": 2}, 1 + 2 * (8 + REPEATS * 2 * 5) + REPEATS * 2, 17),
        (ddn, many, 8 + REPEATS * 4 * 5, 8),
    ]
    for attack, options, points, backwards in expected:
        oracle = oracle_of(net, draws)
        attack(oracle, x, y, budget=budget, **options)
        assert oracle.queries.points.tolist() == [points] * len(x)
        assert oracle.queries.forwards.tolist() == [points * draws] * len(x)
        assert oracle.queries.backwards.tolist() == [backwards * draws] * len(x)
    oracle = oracle_of(net, draws)
    jsma(oracle, x, y, budget=Budget.parse("l0:5"))
    assert oracle.queries.backwards.tolist() == [5 * draws] * len(x)
    oracle = oracle_of(net, draws)
    arc(oracle, x, y, budget=budget, steps=2)
    assert oracle.queries.backwards.tolist() == [2 * draws * 2] * len(x)  # comparisons take no gradient
    assert oracle.queries.forwards.tolist() == [draws + 2 * draws * (draws + 2)] * len(x)  # three classes: two others


def test_deepfool_asks_for_the_gaps_of_a_step_under_the_same_draws(net, x, y):
    oracle = oracle_of(net, 3)
    deepfool(oracle, x, y, budget=Budget.parse("l2:0.5"), steps=4)
    assert oracle.stream.index == 3 * (1 + 4 * 2 + REPEATS)  # scores; a look and gaps each step; the end


@pytest.mark.parametrize("seed", [0, 1])
def test_arc_breaks_a_member_that_the_mean_gradient_leads_away_from(seed):
    """The failure of attacks on the mean loss: Dbouk & Shanbhag 2022, section 3."""
    model, budget = Trap(), Budget.parse("linf:0.05")
    x = torch.full((3, 1, 4, 4), 0.5, dtype=torch.float64)
    x = x + 0.001 * torch.arange(3, dtype=x.dtype).view(-1, 1, 1, 1)
    y = torch.zeros(3, dtype=torch.long)
    oracle = oracle_of(model, 20, seed)
    found = arc(oracle, x, y, budget=budget, steps=3)
    assert oracle.stream.index == 20  # one set of draws
    by_mean = pgd(oracle_of(model, 20, seed), x, y, budget=budget, steps=20)
    fresh = oracle_of(model, 400, seed=9)
    assert bool((fresh.wrong(by_mean, y) == 0).all())
    assert bool(((fresh.wrong(found, y) - 0.5).abs() < 5 * (0.25 / 400) ** 0.5).all())


@pytest.mark.parametrize("size", ["0.02", "0.05", "0.2"])
def test_arc_never_gives_up_a_draw_of_its_set(size, net, x, y):
    budget = Budget.parse(f"linf:{size}")
    oracle = oracle_of(net, 6)
    found = arc(oracle, x, y, budget=budget, steps=3)
    keys = Stream("search", 0).take(6)
    before, after = (oracle.each(at, y, _wrong, keys)[2].argmax(2) != y for at in (x, found))  # (S, B)
    assert bool((after.sum(0) >= before.sum(0)).all())
    assert int(after.sum()) > int(before.sum()) or size == "0.02"


def _wrong(logits, y):
    return logits.gather(1, y[:, None])[:, 0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_arc_goes_on_to_the_edge_where_nothing_is_left_to_win(norm):
    model, x, y = linear(classes=2)
    budget = Budget.parse({"linf": "linf:0.1", "l2": "l2:0.3"}[norm])
    found = arc(oracle_of(model), x, y, budget=budget, steps=5)
    assert torch.allclose(margin(model(found), y), worst_margin(model, x, y, budget), atol=1e-9)


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (cw, {"steps": 0}, "cw cannot take steps=0"),
        (cw, {"constant": 0.0}, "cw cannot take constant=0.0"),
        (cw, {"step_size": -1.0}, "cw cannot take step_size"),
        (ddn, {"steps": 0}, "ddn cannot take steps=0"),
        (ddn, {"gamma": 1.0}, "ddn cannot take gamma=1.0"),
        (deepfool, {"classes": 0}, "deepfool cannot take classes=0"),
        (deepfool, {"overshoot": -0.1}, "deepfool cannot take overshoot=-0.1"),
        (arc, {"steps": 0}, "arc cannot take steps=0"),
        (arc, {"step_size": 0.0}, "arc cannot take step_size=0.0"),
    ],
)
def test_impossible_options(attack, options, message, net, x, y):
    with pytest.raises(UsageError, match=message):
        attack(oracle_of(net), x, y, budget=Budget.parse("l2:0.5"), **options)
