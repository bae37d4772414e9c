"""Whose noise buys what."""

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.random.ablation import layers, variations, with_noise_in
from variate.random.randomize import randomize


@pytest.fixture
def three():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    return randomize(module, {"1.*": "laplace(floor=0.1)", "*": "normal(share=channel)"}, scale=0.4).eval()


def test_layers_are_the_modules_that_own_parameters(three):
    assert layers(three) == {
        "1": ["1.weight", "1.bias"],
        "2": ["2.weight", "2.bias"],
        "4": ["4.weight", "4.bias"],
    }


def test_noise_is_off_outside_and_the_same_inside(three):
    with torch.no_grad():
        for scale in three.scale_parameters():
            scale.add_(0.3)  # as if it had been trained
    net = with_noise_in(three, ["1.weight", "1.bias"])
    whole, part, mean = three.at(5), net.at(5), three.mean()
    assert torch.equal(part[1].weight, whole[1].weight)
    assert torch.equal(part[1].bias, whole[1].bias)
    for name in ("2.weight", "2.bias", "4.weight", "4.bias"):
        assert torch.equal(part.get_parameter(name), mean.get_parameter(name))
        assert not torch.equal(whole.get_parameter(name), mean.get_parameter(name))


def test_running_statistics_and_the_mode_stay(three):
    three.train()
    three(torch.rand(8, 1, 4, 4))
    net = with_noise_in(three, ["4.weight"])
    assert net.training
    assert torch.equal(net[2].running_mean, three[2].running_mean)


def test_every_layer_is_turned_off_and_left_alone(three):
    found = dict(variations(three))
    assert list(found) == [f"{word} {layer}" for word in ("without", "only") for layer in "124"]
    x = torch.rand(4, 1, 4, 4)
    outputs = {name: net.at(3)(x) for name, net in found.items()}
    for name, output in outputs.items():
        assert not torch.equal(output, three.mean()(x)), name
        assert not torch.equal(output, three.at(3)(x)), name


def test_one_layer_has_no_variations_and_wrong_names_are_named(three):
    assert list(variations(randomize(nn.Linear(3, 2)))) == []
    with pytest.raises(UsageError, match=r"5\.weight"):
        with_noise_in(three, ["5.weight"])
