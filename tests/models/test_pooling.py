"""Pooling by whole planes: the bits of PyTorch's own, with and without a gradient, and its own operation in a graph."""

import pytest
import torch
from torch.nn import functional as F

from variate.models.lenet import LeNet
from variate.models.parts.pooling import halved


@pytest.mark.parametrize("sides", [(2, 2), (8, 6), (7, 4), (4, 9), (1, 4)])
@pytest.mark.parametrize("grad", [False, True])
def test_it_is_that_of_pytorch_to_the_bit(sides, grad):
    x = torch.randn(3, 2, *sides, generator=torch.Generator().manual_seed(0)).round(decimals=1)  # with ties
    with torch.set_grad_enabled(grad):
        if min(sides) < 2:
            with pytest.raises(RuntimeError, match="too small"):
                halved(x)
        else:
            assert torch.equal(halved(x), F.max_pool2d(x, 2))


def test_nan_and_infinity_pass_as_in_pytorch():
    x = torch.tensor([[[[float("nan"), 1.0, -float("inf"), -float("inf")], [2.0, 3.0, float("inf"), 0.0]]]])
    with torch.no_grad():
        torch.testing.assert_close(halved(x), F.max_pool2d(x, 2), equal_nan=True, atol=0, rtol=0)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_a_graph_has_the_operation_itself():
    network, x = LeNet((1, 8, 8), 10).eval(), torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        graphs = torch.export.export(network, (x,)).graph, torch.jit.trace(network, x).inlined_graph
        mapped = torch.vmap(network)(x[:, None])[:, 0]
        torch.testing.assert_close(mapped, network(x))
    for graph in graphs:
        assert str(graph).count("max_pool2d") >= 2
        assert "maximum" not in str(graph)
