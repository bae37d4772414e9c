"""The objective interval: its terms and weights over a run, with and without the bounds of a backward pass."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.inputs.budget import Budget
from variate.inputs.modalities.audio import Audio
from variate.random.backward_bounds import backward_margins
from variate.random.interval_bounds import box, output_bounds, worst_margins
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.training.clock import Clock
from variate.training.defense import defended
from variate.training.inner_attack import InnerAttack
from variate.training.objectives.interval import interval
from variate.training.recipe import Recipe
from variate.training.wiring import wire

X, Y = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0, 1, 2])


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def inner(net, **options):
    return InnerAttack(net, Stream("train", 0), Budget.parse("linf:0.1"), steps=1, seed=0, **options)


def loss_at(net, step, **options):
    return interval(net, X, Y, perturb=inner(net), clock=Clock(total=100, step=step), **options)


@pytest.mark.parametrize("crown", [False, True])
def test_the_loss_is_that_of_the_formula_throughout_a_run(crown):
    net = network()
    for step, share in ((0, 0.0), (10, 0.2), (40, 0.8), (50, 1.0), (90, 1.0)):
        weight, inputs = 1 - share * 0.5, box(X, share * 1.1 * 0.1)
        with torch.no_grad():
            clean = F.cross_entropy(net(X), Y)
            margins = worst_margins(output_bounds(net, inputs), Y)
        if crown:
            margins = share * margins + (1 - share) * backward_margins(net, inputs, Y)[1]
        expected = weight * clean + (1 - weight) * F.cross_entropy(-margins, Y)
        torch.testing.assert_close(loss_at(net, step, crown=crown).detach(), expected)


def test_the_backward_pass_lowers_the_loss_and_trains_every_parameter_and_scale():
    net = randomize(network(), scale=0.05)
    with net.fixed(3):
        assert float(loss_at(net, 20, crown=True).detach()) < float(loss_at(net, 20).detach())
    loss_at(net, 20, crown=True).backward()
    for name, parameter in net.named_parameters():
        if name != "5.bias":
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0, name


def test_a_budget_of_sound_is_half_as_large_in_inputs():
    net = network()
    assert inner(net, modality=Audio(rate=8000)).radius == pytest.approx(0.05)
    assert inner(net).radius == pytest.approx(0.1)


@pytest.mark.parametrize("text", ["ibp(crown=true)", "random-ibp(crown=true)"])
def test_the_defenses_hand_it_on(text):
    net, objective = defended(text, network())
    assert "crown=true" in objective
    recipe = Recipe(objective, budget="linf:0.05", attack_steps=1)
    assert wire(recipe, net, Stream("train", 0))(net, X, Y).isfinite()
