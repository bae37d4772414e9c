"""M5: its first convolution works on frames, and gives what the usual one gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.models.m5 import M5
from variate.models.parts.strided import StridedConv1d


@pytest.mark.parametrize(
    ("length", "channels", "kernel", "stride", "padding"),
    [(8000, 1, 80, 4, 38), (1027, 1, 80, 4, 38), (61, 3, 6, 3, 0), (9, 2, 8, 8, 0), (40, 2, 5, 1, 2)],
)
def test_strided_convolution_is_the_usual_one(
    length: int, channels: int, kernel: int, stride: int, padding: int
) -> None:
    ours = StridedConv1d(channels, 5, kernel, stride=stride, padding=padding)
    usual = nn.Conv1d(channels, 5, kernel, stride=stride, padding=padding)
    usual.load_state_dict(ours.state_dict())
    x = torch.randn(2, channels, length, requires_grad=True)
    parameters = [*ours.parameters()], [*usual.parameters()]
    outputs = ours(x), usual(x)
    weight = torch.randn_like(outputs[0])
    slopes = [torch.autograd.grad((y * weight).sum(), [x, *own]) for y, own in zip(outputs, parameters, strict=True)]
    torch.testing.assert_close(*outputs)
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_m5_pools_what_the_paper_rectifies_and_pools() -> None:
    network = M5((1, 1024), 3, width=4)
    x = torch.rand(2, 1, 1024)
    y = network.level(x)
    for convolution, norm in zip(network.convolutions, network.norms, strict=True):
        usual = nn.functional.conv1d(y, convolution.weight, convolution.bias, convolution.stride, convolution.padding)
        y = nn.functional.max_pool1d(norm(usual).relu(), 4)
    torch.testing.assert_close(network(x), network.head(y.mean(2)))


def test_group_norm_keeps_examples_apart_and_other_norms_are_refused() -> None:
    network = M5((1, 1024), 3, width=4, norm="group")
    x = torch.rand(3, 1, 1024)
    torch.testing.assert_close(network(x)[:1], network(x[:1]))  # in train mode too
    assert [*network.state_dict()] == [*dict(network.named_parameters())]
    with pytest.raises(UsageError, match="the norm of an M5 is 'layer'"):
        M5((1, 1024), 3, norm="layer")  # type: ignore[arg-type]
