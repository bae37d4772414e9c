"""The compiled sampler gets no address that is not plain memory: everything else is drawn by torch, or refused."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.testing._internal.two_tensor import TwoTensor

from variate import registry
from variate.errors import RandomizeError, VariateError
from variate.random.noise import native
from variate.random.randomize import randomize

compiled = pytest.mark.skipif(not native.available(), reason="the package was built without a C compiler")
FAMILIES = [name for name, entry in registry.entries("families").items() if entry.facts["random"]]


def freed(tensor):
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


def shrunk(tensor):
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(4 * tensor.numel() - 4)
    return tensor


def fake(tensor):
    return FakeTensorMode(allow_non_fake_inputs=True).from_tensor(tensor)


WAYS = {
    "meta": lambda t: t.to("meta"),
    "fake": fake,
    "wrapper subclass": lambda t: TwoTensor(t, t.clone()),
    "functional": torch._to_functional_tensor,
    "zero": lambda t: torch._efficientzerotensor(t.shape),
    "sparse": torch.Tensor.to_sparse,
    "double": torch.Tensor.double,
    "half": torch.Tensor.half,
    "integers": torch.Tensor.int,
    "freed": freed,
    "shrunk": shrunk,
    "transposed": lambda t: t.repeat(2, 1).T,
    "strided": lambda t: t.repeat_interleave(2)[::2],
    "expanded": lambda t: t[:1, :1].expand(t.shape),
    "negated": lambda t: torch._neg_view(t),
    "smaller": lambda t: t.flatten()[:-1],
    "larger": lambda t: torch.cat([t, t]),
    "empty": lambda t: t[:0],
}


def tensor():
    return torch.rand(3, 4)


@compiled
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", ["noise", "draw", "gradient"])
def test_the_gate_refuses_whatever_is_not_plain_memory_of_the_right_size(way, operation):
    table = native.Table([native.Row(1, "normal", 12, True), native.Row(2, "normal", 12, True)])
    for role in range(3):
        if operation == "noise" and role < 2:
            continue  # not read
        columns = [[tensor(), tensor()] for _ in range(3)]
        table.run(operation, 1, *columns)
        columns[role][1] = WAYS[way](tensor())
        with pytest.raises(TypeError, match="plain contiguous float32"):
            table.run(operation, 1, *columns)


@compiled
def test_memory_that_was_accepted_once_is_looked_at_again():
    table = native.Table([native.Row(1, "normal", 12)])
    out = tensor()
    table.run("noise", 1, [out], [out], [out])
    for change in (lambda: out.resize_(2, 2), lambda: out.untyped_storage().resize_(0)):
        change()
        with pytest.raises(TypeError, match="plain contiguous float32"):
            table.run("noise", 1, [out], [out], [out])


FUZZ = """
import random, sys, warnings
import torch
from torch import nn
sys.path.insert(0, sys.argv[1])
from test_memory_gate import WAYS
from variate.random.randomize import randomize
warnings.simplefilter("ignore")
dice, fine, refused = random.Random(0), 0, 0
for round in range(120):
    net = randomize(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3)), dice.choice(sys.argv[2].split()))
    x = torch.rand(2, 4)
    net(x).sum().backward()
    names = dice.sample([name for name, _ in net.named_parameters()], dice.randint(1, 3))
    for name in names:
        path, _, attribute = name.rpartition(".")
        parameters = net.get_submodule(path)._parameters
        value = parameters[attribute].detach()
        try:
            changed = WAYS[dice.choice(list(WAYS))](value.clone())
            if dice.random() < 0.5:
                parameters[attribute].data = changed
            else:
                parameters[attribute] = nn.Parameter(changed, requires_grad=changed.is_floating_point())
        except Exception:  # torch's own: a change that it does not allow
            continue
    try:
        with torch.set_grad_enabled(dice.random() < 0.5):
            output = net(x)
        if output.requires_grad:
            output.sum().backward()
        fine += 1
    except Exception as error:
        refused += 1
print(fine, refused)
"""


def test_no_change_of_the_parameters_kills_the_process():
    words = [sys.executable, "-X", "faulthandler", "-c", FUZZ, str(Path(__file__).parent), " ".join(FAMILIES)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fine, refused = map(int, done.stdout.split())
    assert fine >= 10
    assert refused >= 10


def test_freed_memory_is_refused_by_name():
    net = randomize(nn.Linear(4, 3))
    net(torch.rand(2, 4))
    net.weight.untyped_storage().resize_(0)
    with pytest.raises(RandomizeError, match="memory of weight has been freed"):
        net(torch.rand(2, 4))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_default_device_that_is_not_the_networks_changes_nothing(family):
    net, x = randomize(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), family).eval(), torch.rand(2, 4)

    def answers():
        with net.fixed(3):
            return [net(x), net.draws(x, [1, 2]), net.draws_per_example(x, 3), net.average([1, 2])(x), net.kl(0.1)]

    before = answers()
    try:
        torch.set_default_device("meta")
        after = answers()
    finally:
        torch.set_default_device(None)
    assert all(map(torch.equal, before, after))


def test_a_fake_mode_sees_every_operation():
    net, x = randomize(nn.Linear(4, 3)), torch.rand(2, 4)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output = net(mode.from_tensor(x))
    assert output.shape == (2, 3)
    assert type(output).__name__ == "FakeTensor"


SHARDED = """
import os, sys, torch, torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from variate.random.randomize import randomize
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
net, x = randomize(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))), torch.rand(2, 4)
with net.fixed(1):
    expected = net(x)
for by_layer in (False, True):
    for part in (net[0], net) if by_layer else (net,):
        fully_shard(part)
    try:
        with net.fixed(1):
            print(torch.equal(net(x), expected))
    except Exception as error:
        print(type(error).__name__, error)
    net = randomize(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)))
"""


def test_a_network_sharded_as_a_whole_draws_and_one_sharded_by_layers_says_why_not():
    done = subprocess.run([sys.executable, "-c", SHARDED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True\nRandomizeError 0.weight cannot be drawn: its tensors are DTensor")
    assert "apply fully_shard to the whole" in done.stdout


def resized_data(net):
    net.weight.data = torch.rand(5, 4)


def resized_scale(net):
    net.weight_rho.data = net.weight_rho.data[:2]


def reshaped(net):
    net.weight.data = net.weight.data.view(4, 3)


@pytest.mark.parametrize("change", [resized_data, resized_scale, reshaped])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("share", ["element", "channel"])
def test_a_mean_of_another_shape_than_its_scale_is_refused(change, family, share):
    net, x = randomize(nn.Linear(4, 3), family, share=share), torch.rand(2, 4)
    net(x)
    shared = net.sites[0].scaling.share
    try:
        change(net)
    except (IndexError, RuntimeError):
        return  # a scale without dimensions
    if net.sites[0].scaling.shape(net.weight, 0) == tuple(net.weight_rho.shape):
        return  # the scale fits the new mean too
    with pytest.raises(VariateError, match="but its scale has"):
        net(x)
    assert shared != "network"


def test_resized_embeddings_are_refused():
    net = randomize(nn.Embedding(5, 4))
    net(torch.arange(5))
    net.weight = nn.Parameter(torch.cat([net.weight.detach(), torch.rand(2, 4)]))
    with pytest.raises(RandomizeError, match=r"weight has the shape \(7, 4\), but its scale has \(5, 4\)"):
        net(torch.arange(5))
