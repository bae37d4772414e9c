import copy

import numpy as np
import pytest
import torch
from torch import nn

from variate.random.handle import handle_of
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.random.seeding import kind_of, left_as_found, under
from variate.testing.coin import Coin, shared_coin


class NumpyNoise(nn.Module):
    """Draws from numpy's generator, which no key of ours reaches."""

    def forward(self, x):
        return x.flatten(1)[:, :3] + torch.as_tensor(np.random.standard_normal(3), dtype=x.dtype)


class OwnGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        return x.flatten(1)[:, :3] + torch.randn(3, generator=self.generator)


class RareNoise(nn.Module):
    """Random, but its answers almost never differ."""

    def forward(self, x):
        return x.flatten(1)[:, :3] + (torch.rand(()) < 1e-9)


class Repeater(nn.Module):
    """Reseeds inside its forward: every draw is the same draw."""

    def forward(self, x):
        torch.manual_seed(0)
        return x.flatten(1)[:, :3] + torch.randn(3)


def dropout():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5))


KINDS = {
    "linear": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), "deterministic"),
    "dropout in train mode": (lambda: dropout().train(), "keyed"),
    "dropout in eval mode": (lambda: dropout().eval(), "deterministic"),
    "batch norm in train mode": (lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16)).train(), "deterministic"),
    "random": (lambda: randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3))), "keyed"),
    "its mean": (lambda: shared_coin().mean(), "deterministic"),
    "its draw": (lambda: shared_coin().at(1), "deterministic"),
    "its average": (lambda: shared_coin().average([1, 2]), "deterministic"),
    "random inside": (lambda: nn.Sequential(nn.Flatten(), randomize(nn.Linear(16, 3))), "keyed"),
    "coin": (Coin, "keyed"),
    "shared coin": (shared_coin, "keyed"),
    "rare noise": (RareNoise, "keyed"),
    "numpy": (NumpyNoise, "unkeyed"),
    "own generator": (OwnGenerator, "unkeyed"),
    "repeater": (Repeater, "keyed"),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_of_randomness(case, x):
    make, kind = KINDS[case]
    module = make()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(4)
    state = torch.get_rng_state()
    assert kind_of(module, x) == kind
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("case", [case for case, (_, kind) in KINDS.items() if kind == "keyed"])
def test_a_key_repeats_a_draw_whatever_the_global_state(case, x):
    module = KINDS[case][0]()
    outputs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        with torch.no_grad(), under(module, 77):
            outputs.append(module(x))
        assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(*outputs)


@pytest.mark.parametrize("case", ["random", "dropout in train mode", "coin"])
def test_other_keys_give_other_draws(case, x):
    module, wide = KINDS[case][0](), x.repeat(40, 1, 1, 1)
    with torch.no_grad():
        found = []
        for key in Stream("search", 0).take(2):
            with under(module, key):
                found.append(module(wide))
    assert not torch.equal(*found)


def test_nothing_is_recorded_for_the_parameters(net, x):
    with under(net, 1):
        net(x.requires_grad_()).sum().backward()
    assert bool(x.grad.any())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_an_error_inside_puts_everything_back(net):
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError), left_as_found(net), under(net, 1):
        net(torch.ones(1, 1, 9, 9))
    assert torch.equal(state, torch.get_rng_state())
    assert handle_of(net).key is None


@pytest.mark.parametrize("training", [True, False])
def test_left_as_found(training, x):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Dropout(0.5)).train(training)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    buffers = [id(buffer) for buffer in module.buffers()]
    state = torch.get_rng_state()
    with left_as_found(module):
        module(x)
        torch.rand(3)
        assert training == (not torch.equal(module[1].running_mean, before["1.running_mean"]))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert [id(buffer) for buffer in module.buffers()] == buffers
    assert all(part.training == training for part in module.modules())


def test_every_random_network_inside_a_module_has_its_own_draw_under_the_key(x):
    twin = randomize(nn.Linear(16, 16), scale=1.0)
    module = nn.Sequential(nn.Flatten(), twin, copy.deepcopy(twin))
    seen = []
    for part in module[1:]:
        part.register_forward_hook(lambda part, inputs, output: seen.append(handle_of(part).key))
    outputs = []
    for key in (1, 1, 2):
        with torch.no_grad(), under(module, key):
            outputs.append(module(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    assert seen[0] == 1
    assert len(set(seen)) == 4
