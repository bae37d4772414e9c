"""Graphs of a random network draw anew at every run, or are refused; none keeps a draw or reads unfilled memory."""

import io
import warnings

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from variate.errors import UsageError
from variate.random.randomize import randomize

X = torch.linspace(-1, 1, 8).view(2, 4)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)), scale=0.3)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_a_trace_draws_anew_or_keeps_the_draw_that_was_chosen(net):
    traced = torch.jit.trace(net, X, check_trace=False)
    assert not torch.equal(traced(X), traced(X))
    with torch.no_grad():
        many = torch.stack([traced(X) for _ in range(400)]).std(0) / net.draws(X, list(range(400))).std(0)
    assert 0.8 < float(many.min()) < float(many.max()) < 1.25
    with net.fixed(3):
        traced = torch.jit.trace(net, X, check_trace=False)
        assert torch.allclose(traced(X), net(X), atol=1e-5)


def test_the_older_onnx_exporter_draws_anew(net):
    runtime = pytest.importorskip("onnxruntime")
    file = io.BytesIO()
    torch.onnx.export(net, (X,), file, dynamo=False, input_names=["x"])
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    one, other = (session.run(None, {"x": X.numpy()})[0] for _ in range(2))
    assert (one != other).any()


def test_fx_is_refused_and_its_graphs_can_be_made_random(net):
    with pytest.raises(UsageError, match="randomize the result"):
        torch.fx.symbolic_trace(net)
    graph = randomize(torch.fx.symbolic_trace(net.mean()), scale=0.3)
    assert not torch.equal(graph(X), graph(X))


def test_make_fx_needs_a_key(net):
    with pytest.raises(UsageError, match="choose it"):
        make_fx(net)(X)
    with net.fixed(3):
        graph = make_fx(lambda x: net(x))(X)
        assert torch.allclose(graph(X), net(X), atol=1e-5)


def test_linearize_is_the_derivative(net):
    tangent = torch.ones_like(X)
    with net.fixed(3):
        net(X)  # what it caches is cached now
        expected = torch.func.jvp(net, (X,), (tangent,))[1]
        _, push = torch.func.linearize(net, X)
        assert torch.allclose(push(tangent), expected, atol=1e-5)


class Through(nn.Module):
    """A forward that goes through its parameters in another way than ``self.layer(x)``."""

    def __init__(self, way):
        super().__init__()
        torch.manual_seed(0)
        self.way, self.maker, self.layer = way, nn.Linear(2, 12), nn.Linear(4, 3)

    def forward(self, x):
        made = self.maker(torch.ones(2)).view(3, 4)
        if self.way == "functional_call":
            return torch.func.functional_call(self.layer, {"weight": made}, (x,))
        *_, weight, bias = self.parameters()
        return nn.functional.linear(x, made + weight, bias)


@pytest.mark.parametrize("way", ["functional_call", "parameters"])
@pytest.mark.parametrize("graph", ["compile", "export"])
def test_a_graph_draws_whatever_way_a_forward_takes_to_its_weights(way, graph):
    net = randomize(Through(way), scale=0.3)
    torch._dynamo.reset()
    run = (
        torch.compile(net, backend="eager", fullgraph=True)
        if graph == "compile"
        else torch.export.export(net, (X,)).module()
    )
    with torch.no_grad():
        ratio = torch.stack([run(X) for _ in range(300)]).std(0) / torch.stack([net(X) for _ in range(300)]).std(0)
    assert 0.8 < float(ratio.min()) < float(ratio.max()) < 1.25


def test_the_graph_of_a_random_fx_module_is_not_exported_without_its_draws(net):
    graph = randomize(torch.fx.symbolic_trace(net.mean()), scale=0.3)
    with pytest.raises(UsageError, match="without its draws"):
        torch.export.export(graph, (X,))
    program = torch.export.export(nn.Sequential(graph), (X,)).module()
    assert not torch.equal(program(X), program(X))
    graph.recompile()
    assert not torch.equal(graph(X), graph(X))
