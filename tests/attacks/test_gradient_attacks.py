"""The white-box attacks on losses: fgsm, bim, mi-fgsm, pgd and the three of Auto-PGD."""

import pytest
import torch
from torch import nn

from variate.attacks.apgd_ce import apgd_ce
from variate.attacks.apgd_dlr import apgd_dlr
from variate.attacks.apgd_targeted import apgd_targeted
from variate.attacks.bim import bim
from variate.attacks.fgsm import fgsm
from variate.attacks.mi_fgsm import mi_fgsm
from variate.attacks.parts.apgd import _balls, _windows
from variate.attacks.parts.incumbent import Climb
from variate.attacks.parts.l1_box import nearest_in_box, steepest_in_box
from variate.attacks.pgd import pgd
from variate.errors import UsageError
from variate.inputs.budget import Budget
from variate.oracle.losses import cross_entropy
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.testing.coin import Coin
from variate.testing.linear import LinearModel, margin, worst_margin

AUTO = (apgd_ce, apgd_dlr, apgd_targeted)
BUDGETS = ("linf:0.05", "l2:0.2", "l1:0.25")


def oracle(network, draws=1):
    return GradientOracle(network, draws=draws, stream=Stream("search", 0))


def linear(classes=2, low=0.3, high=0.7):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(classes, 16, generator=generator, dtype=torch.float64)
    x = low + (high - low) * torch.rand(12, 1, 4, 4, generator=generator, dtype=torch.float64)
    return LinearModel(weight, torch.zeros(classes, dtype=torch.float64)), x, torch.arange(12) % classes


def share_taken(model, found, x, y, budget):
    start = margin(model(x), y)
    return (start - margin(model(found), y)) / (start - worst_margin(model, x, y, budget))


def most(gradient, x, eps):
    """The largest rise of a linear function over ball and box: min over s of s * eps + sum room * max(|g| - s, 0)."""
    slopes = gradient.flatten(1).abs()
    room = torch.where(gradient > 0, 1 - x, x).flatten(1)
    prices = torch.cat([slopes, slopes.new_zeros(len(slopes), 1)], 1)[:, :, None]  # (B, D + 1, 1)
    return (prices[..., 0] * eps + (room[:, None] * (slopes[:, None] - prices).clamp(min=0)).sum(2)).amin(1)


def cornered(size, count=50):
    """Inputs of which half the values are 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(count, size, generator=generator, dtype=torch.float64)
    return (2 * x - 0.5).clamp(0, 1), torch.randn(count, size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.5, 2.0, 100.0])
@pytest.mark.parametrize("size", [1, 2, 40])
def test_the_nearest_point_of_ball_and_box_is_that_of_bisection(size, eps):
    x, noise = cornered(size)
    sizes, room = noise.abs(), torch.where(noise > 0, 1 - x, x)
    low, high = torch.zeros(len(x), 1, dtype=x.dtype), sizes.amax(1, keepdim=True)
    for _ in range(100):
        middle = (low + high) / 2
        over = torch.minimum((sizes - middle).clamp(min=0), room).sum(1, keepdim=True) > eps
        low, high = middle.where(over, low), high.where(over, middle)
    by_hand = x + torch.minimum((sizes - high).clamp(min=0), room) * noise.sign()
    assert torch.allclose(nearest_in_box(x + noise, x, eps), by_hand, atol=1e-12)


def test_the_nearest_point_keeps_to_the_budget_in_single_precision():
    x, noise = (tensor.float() for tensor in cornered(3072, 8))
    found = nearest_in_box(x + noise, x, 12.0)
    assert bool(Budget.parse("l1:12").contains(found, x).all())
    assert torch.allclose((found - x).abs().sum(1), torch.full((8,), 12.0), atol=1e-4)


@pytest.mark.parametrize("eps", [0.0, 0.3, 3.0, 100.0])
def test_the_steepest_step_in_the_box_meets_its_dual(eps):
    x, gradient = cornered(20)
    found = steepest_in_box(gradient, x, eps)
    assert torch.allclose(((found - x) * gradient).sum(1), most(gradient, x, eps), atol=1e-12)
    assert bool(((found - x).abs().sum(1) <= eps + 1e-12).all())


@pytest.mark.parametrize(("attack", "least"), [(fgsm, 1 - 1e-9), (bim, 1 - 1e-9), (apgd_ce, 0.85), (apgd_dlr, 0.85)])
def test_in_l1_nothing_is_given_away_at_the_ends_of_the_range(attack, least):
    """The whole budget is worth what its dual says, although half the values cannot go where they would.

    Auto-PGD moves its values by equal amounts, and comes close; projecting first and clipping then leaves a half.
    """
    model, x, y = linear()
    x = (4 * x - 1.5).clamp(0, 1)
    gradient = (model.weight[1 - y] - model.weight[y]).detach().view_as(x)
    found = attack(oracle(model), x, y, budget=Budget.parse("l1:3"))
    rise = ((found - x) * gradient).flatten(1).sum(1)
    assert bool((rise >= least * most(gradient, x, 3.0)).all()), rise / most(gradient, x, 3.0)


@pytest.mark.parametrize("attack", [bim, mi_fgsm])
@pytest.mark.parametrize("text", BUDGETS)
def test_steps_along_a_straight_way_reach_its_end(attack, text):
    budget, (model, x, y) = Budget.parse(text), linear()
    if attack is mi_fgsm and budget.norm == "l1":
        pytest.skip("mi-fgsm has no l1")
    found = attack(oracle(model), x, y, budget=budget)
    assert torch.allclose(share_taken(model, found, x, y, budget), torch.ones(12, dtype=x.dtype), atol=1e-9)


@pytest.mark.parametrize("attack", AUTO)
@pytest.mark.parametrize("text", BUDGETS)
def test_auto_pgd_reaches_the_worst_margin(attack, text):
    budget, (model, x, y) = Budget.parse(text), linear()
    found = attack(oracle(model), x, y, budget=budget)
    assert bool((share_taken(model, found, x, y, budget) > 0.97).all())


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("text", BUDGETS)
def test_targets_one_by_one_find_the_worst_of_all_classes(classes, text):
    """The worst class is not always the likeliest one, and an attack on the loss alone may end at another."""
    budget, (model, x, y) = Budget.parse(text), linear(classes)
    found = apgd_targeted(oracle(model), x, y, budget=budget)
    left = margin(model(x), y) > 0  # a wrong one is done
    assert bool(left.any())
    assert bool((share_taken(model, found, x, y, budget)[left & (margin(model(found), y) > 0)] > 0.97).all())
    assert torch.equal(margin(model(found), y) < 0, worst_margin(model, x, y, budget) < 0)


@pytest.mark.parametrize("attack", [bim, mi_fgsm, pgd, *AUTO])
def test_a_target_is_reached_rather_than_any_wrong_answer(attack):
    model, x, y = linear(4)
    target = model(x).argsort(1)[:, 2]  # the second likeliest
    target = torch.where(target == y, (y + 1) % 4, target)
    found = attack(oracle(model), x, y, budget=Budget.parse("linf:0.5"), target=target, steps=40)
    assert torch.equal(model(found).argmax(1), target)


def test_without_memory_the_momentum_attack_is_the_basic_one(net, x, y):
    budget = Budget.parse("linf:0.1")
    one, other = (
        attack(oracle(net, 2), x, y, budget=budget, **o) for attack, o in [(mi_fgsm, {"decay": 0}), (bim, {})]
    )
    assert torch.equal(one, other)
    assert not torch.equal(mi_fgsm(oracle(net, 2), x, y, budget=budget, decay=1.0), one)


@pytest.mark.parametrize("attack", [fgsm, bim, mi_fgsm])
def test_no_gradient_moves_nothing(attack):
    x, y = torch.rand(3, 1, 2, 2), torch.zeros(3, dtype=torch.long)
    assert torch.equal(attack(oracle(Coin(0.0)), x, y, budget=Budget.parse("l2:1")), x)


def test_checkpoints_are_the_published_ones():
    assert list(_windows(100)) == [22, 41, 57, 70, 80, 87, 93, 99, 100]
    for steps in range(1, 120):
        windows = _windows(steps)
        assert sum(windows.values()) == max(windows) == steps
        assert min(windows.values()) > 0
        assert sum(count for _, count in _balls(steps)) == steps


@pytest.mark.parametrize(("attack", "passes"), [(bim, 7), (mi_fgsm, 7)])
def test_counts_of_plain_steps(attack, passes, net, x, y):
    asked = oracle(net, 3)
    attack(asked, x, y, budget=Budget.parse("linf:0.05"), steps=7)
    for found in (asked.queries.forwards, asked.queries.backwards, asked.queries.draws):
        assert found.tolist() == [passes * 3] * len(x)


@pytest.mark.parametrize(("text", "gradients", "looks"), [("linf:0.1", 51, 8), ("l2:0.5", 51, 8), ("l1:1", 53, 50)])
@pytest.mark.parametrize("restarts", [1, 2])
def test_counts_of_auto_pgd(text, gradients, looks, restarts, net, x, y):
    """Every look puts three points to K draws; so does the choice among the restarts with as many points."""
    asked = oracle(net, 3)
    apgd_ce(asked, x, y, budget=Budget.parse(text), steps=50, restarts=restarts)
    choice = restarts if restarts > 1 else 0
    assert asked.queries.backwards.tolist() == [restarts * gradients * 3] * len(x)
    assert asked.queries.forwards.tolist() == [(restarts * (gradients + 3 * looks) + choice) * 3] * len(x)
    assert asked.stream.index == (restarts * (gradients + looks) + (restarts > 1)) * 3


def test_a_network_of_three_classes_has_two_to_go_for(net, x, y):
    asked = oracle(net, 2)
    apgd_targeted(asked, x, y, budget=Budget.parse("linf:0"), steps=10)
    right = torch.tensor(asked.queries.backwards) == 2 * 2 * 11
    assert bool((right | (torch.tensor(asked.queries.backwards) == 2 * 11)).all())
    assert bool(right.any())


def test_what_is_broken_for_sure_is_left_alone():
    model, x, y = linear(4)
    asked = oracle(model)
    found = apgd_targeted(asked, x, y, budget=Budget.parse("linf:0.3"), steps=10)
    assert bool((model(found).argmax(1) != y).all())
    assert asked.queries.backwards.tolist() == [11] * 12  # one class was enough


def test_one_wrong_draw_does_not_break_an_example():
    """A coin is wrong in half of its draws, at any input."""
    x, y = torch.rand(100, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(100, dtype=torch.long)
    asked = GradientOracle(Coin(0.5, classes=3), stream=Stream("search", 0), kind="unkeyed")
    apgd_targeted(asked, x, y, budget=Budget.parse("linf:0.1"), steps=5)
    gone = int((asked.queries.backwards == 6).sum())
    expected = 100 * 0.5**8
    assert gone <= expected + 5 * expected**0.5, f"{gone} of 100 were given up"


class Scripted:
    """An oracle whose losses with gradients are told beforehand, and whose comparisons are true: the larger x."""

    def __init__(self, told):
        self._told = iter(told)

    def gradient(self, x, y, loss, *, rows=None):
        return torch.full((len(x),), float(next(self._told))), torch.zeros_like(x)

    def loss(self, x, y, loss, *, rows=None):
        return x.flatten(1).sum(1)


def test_a_lucky_loss_does_not_keep_a_better_point_out():
    y, point = torch.zeros(1, dtype=torch.long), lambda value: torch.full((1, 1), float(value))
    climb = Climb(Scripted([0, 100, 1, 3, 2]), point(0), y, loss=cross_entropy, rank=cross_entropy)
    climb.step(point(1))  # looks like 100
    assert climb.step(point(0)).tolist() == [False]
    assert climb.close_window().tolist() == [True]
    assert climb.best.x.item() == 1
    climb.step(point(5))  # looks like 3, less than the lucky one, and is the best of all
    climb.step(point(2))
    assert climb.close_window().tolist() == [True]
    assert climb.best.x.item() == 5
    assert climb.close_window().tolist() == [False]


class Blurred(nn.Module):
    """A linear model whose logits a draw shifts by noise that is ten times as large as what the attack can change."""

    def __init__(self, model, scale):
        super().__init__()
        self.model, self.scale = model, scale

    def forward(self, x):
        logits = self.model(x)
        return logits + self.scale * torch.randn(1, logits.shape[1], dtype=logits.dtype)


@pytest.mark.parametrize("attack", AUTO)
@pytest.mark.parametrize("text", BUDGETS)
def test_noise_in_the_loss_does_not_lead_astray(attack, text):
    """The draws agree on the direction, and disagree about how far the attack has come."""
    budget, (model, x, y) = Budget.parse(text), linear()
    with torch.no_grad():
        reach = float((margin(model(x), y) - worst_margin(model, x, y, budget)).mean())
    found = attack(oracle(Blurred(model, 10 * reach), 2), x, y, budget=budget)
    assert bool((share_taken(model, found, x, y, budget) > 0.95).all())


@pytest.mark.parametrize(
    ("attack", "options"), [(apgd_ce, {"restarts": 0}), (apgd_dlr, {"steps": 0}), (bim, {"steps": 0})]
)
def test_impossible_options(attack, options, net, x, y):
    with pytest.raises(UsageError, match=r"cannot take \w+=0"):
        attack(oracle(net), x, y, budget=Budget.parse("linf:0.1"), **options)


@pytest.mark.parametrize("options", [{"classes": 0}, {"steps": 0}, {"restarts": 0}])
def test_impossible_options_of_targets(options, net, x, y):
    with pytest.raises(UsageError, match=r"cannot take \w+=0"):
        apgd_targeted(oracle(net), x, y, budget=Budget.parse("linf:0.1"), **options)
