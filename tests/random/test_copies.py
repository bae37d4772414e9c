"""Copies run themselves and never the original: compiled calls, closures, hooks, and weights computed by hooks."""

import copy
import functools
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from variate.errors import UsageError
from variate.random.inspection import check
from variate.random.randomize import randomize
from variate.serving.serving import Served
from variate.training.weight_averaging import WeightAverage

X = torch.linspace(-1, 1, 8).view(2, 4)


def zeroed(net):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for rho in net.scale_parameters():
            rho.fill_(-50.0)
    return net


@pytest.mark.parametrize("part", ["whole", "layer"])
def test_copies_of_a_compiled_network_run_themselves(part):
    net = randomize(nn.Sequential(nn.Linear(4, 3)), scale=0.5)
    (net if part == "whole" else net[0]).compile(backend="eager")
    net(X)
    mean, at = net.mean(), net.at(3)
    assert torch.equal(mean(X), mean(X))
    assert torch.equal(at(X), at(X))
    assert zeroed(copy.deepcopy(net))(X).abs().max() < 1e-6
    assert torch.equal(copy.deepcopy(net).unwrap()(X), mean(X))
    served = Served(net, draws=1)
    assert not torch.equal(served(X), served(X))
    average = WeightAverage(net, ema=0.5)
    zeroed(average.network)
    assert average.network(X).abs().max() < 1e-6


def closure(layer):
    old = layer.forward
    layer.forward = lambda x: old(x) * 2.0


def default(layer):
    layer.forward = lambda x, old=layer.forward: old(x) * 2.0


def nested_closure(layer):
    old = {"forward": [layer.forward]}

    def inner(x):
        return old["forward"][0](x)

    layer.forward = lambda x: inner(x) * 2.0


def partial(layer):
    layer.forward = functools.partial(lambda old, x: old(x) * 2.0, layer.forward)


def hook(layer):
    layer.register_forward_hook(lambda _, args, out: 2.0 * nn.functional.linear(args[0], layer.weight, layer.bias))


def global_name(layer):
    scope = {"old": layer.forward}
    exec("new = lambda x: old(x) * 2.0", scope)
    layer.forward = scope["new"]


@pytest.mark.parametrize("patch", [closure, default, nested_closure, partial, hook, global_name])
def test_a_forward_that_was_replaced_runs_the_copy(patch):
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
    expected = module[1](2.0 * module[0](X))
    patch(module[0])
    net = randomize(module, scale=1e-9)
    assert check(module, X).findings == []
    assert torch.allclose(module(X), expected)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.allclose(net(X), expected, atol=1e-5)
    for plain in (net.mean(), net.at(1), copy.deepcopy(net)):
        zeroed(net)
        assert torch.allclose(plain(X), expected, atol=1e-5)
    net(X).sum().backward()
    assert net[0].weight.grad is not None
    assert module[0].weight.grad is None


def test_a_forward_replaced_after_randomize_keeps_working_without_the_noise():
    """As ``accelerate.prepare(mixed_precision=...)`` does."""
    net = randomize(nn.Sequential(nn.Linear(4, 3)), scale=0.5)
    inner = net.forward.__func__
    net.forward = (lambda self, *args: 2.0 * inner(self, *args)).__get__(net)
    assert not torch.equal(net(X), net(X))
    assert torch.equal(net.mean()(X), 2.0 * nn.functional.linear(X, net[0].weight, net[0].bias))


HOOKED = {
    "weight_norm": nn.utils.weight_norm,
    "spectral_norm": nn.utils.spectral_norm,
    "pruning": lambda layer: prune.random_unstructured(layer, "weight", 0.3),
}


@pytest.mark.parametrize("kind", HOOKED)
@pytest.mark.parametrize("inside", [False, True])
def test_weights_computed_by_hooks_are_computed_from_the_draw(kind, inside):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = HOOKED[kind](nn.Linear(4, 3, bias=False)).eval()
    net = randomize(nn.Sequential(layer) if inside else layer, scale=0.5)
    output = net(X)
    assert not torch.equal(output, net(X))
    output.sum().backward()
    assert all(bool(rho.grad.any()) for rho in net.scale_parameters())
    with net.fixed(3):
        assert torch.allclose(net(X), net.at(3)(X), atol=1e-6)
        assert torch.allclose(copy.deepcopy(net)(X), net(X), atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_cannot_be_scripted_but_says_what_can():
    with pytest.raises(UsageError, match="TorchScript cannot hold"):
        torch.jit.script(randomize(nn.Linear(4, 3)))
