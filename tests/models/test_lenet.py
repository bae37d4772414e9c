"""LeNet: its usual size, and wider ones as twins with more parameters."""

import pytest
import torch

from variate.datasets.info import about
from variate.errors import UsageError
from variate.models.lenet import LeNet
from variate.training.saved import build


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_usual_size_is_that_of_the_paper():
    net = LeNet((1, 28, 28), 10)
    assert count(net) == (6 * 25 + 6) + (16 * 6 * 25 + 16) + (784 * 120 + 120) + (120 * 84 + 84) + (84 * 10 + 10)


def test_width_multiplies_channels_and_units():
    net = build("lenet(width=2)", about("digits"))
    assert [net.conv1.out_channels, net.conv2.out_channels, net.fc1.out_features, net.fc2.out_features] == [
        12, 32, 240, 168,
    ]  # fmt: skip
    assert 3.5 < count(net) / count(build("lenet", about("digits"))) < 4.5
    assert net(torch.rand(3, 1, 8, 8)).shape == (3, 10)


@pytest.mark.parametrize("width", ["0", "-1", "wide", "true"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(UsageError, match="the width of a LeNet"):
        build(f"lenet(width={width})", about("digits"))
