"""Many draws at once: every way gives what the loop over keys gives."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.datasets.info import About
from variate.errors import UsageError
from variate.random import timing as probe
from variate.random.draw.node import Draws
from variate.random.keys import sibling
from variate.random.randomize import randomize
from variate.testing.findings import Z
from variate.training.saved import build as build_network

KEYS = [3, 1, 4, 15, 9]
WAYS = ["loop", "vmap", "threads", "auto"]


def small_lenet():
    torch.manual_seed(0)
    return build_network("lenet", About("image", (1, 28, 28), 10, (0.5,), (0.25,))).eval()


def encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.Sequential(
        nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Flatten(), nn.Linear(24, 4)
    ).eval()


class Last(nn.Module):
    """A recurrent classifier."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


def recurrent():
    torch.manual_seed(0)
    return Last().eval()


CASES = {
    "lenet": (small_lenet, (4, 1, 28, 28)),
    "encoder": (encoder, (4, 3, 8)),
    "lstm": (recurrent, (4, 3, 8)),
}


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def build(case, family="normal"):
    make, shape = CASES[case]
    net = randomize(make(), family, scale=0.3)
    return net, torch.rand(shape, generator=torch.Generator().manual_seed(1))


def loss(logits):
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long), reduction="none")


def by_hand(net, x):
    """Outputs, mean loss and its gradient from plain modules, one after another."""
    leaf = x.clone().requires_grad_()
    outputs = torch.stack([net.at(key)(leaf) for key in KEYS])
    value = torch.stack([loss(output) for output in outputs]).mean(0)
    return outputs.detach(), value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


@pytest.mark.parametrize("family", ["normal", "bernoulli", "laplace(share=channel)"])
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_every_way_equals_plain_modules(case, how, family):
    net, x = build(case, family)
    if (case, how) == ("lstm", "vmap"):
        with pytest.raises(UsageError, match="cannot make draws by vmap: Batching rule not implemented"):
            net.draws(x, KEYS, how)
        return
    outputs, value, gradient = by_hand(net, x)
    for _ in range(2):  # auto: while it measures, and after
        assert torch.allclose(net.draws(x, KEYS, how), outputs, rtol=1e-4, atol=1e-5)
        passes = net.input_gradient(x, loss, KEYS, how)
        assert torch.allclose(passes.logits, outputs, rtol=1e-4, atol=1e-5)
        assert torch.allclose(passes.loss, value, rtol=1e-4, atol=1e-5)
        assert torch.allclose(passes.gradient, gradient, rtol=1e-3, atol=1e-5)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not passes.logits.requires_grad
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("how", WAYS)
def test_draws_of_double_precision_differ_by_double_rounding_only(how):
    net, x = build("lenet")
    net, x = net.double(), x.double()
    reference = net.input_gradient(x, loss, KEYS, "loop")
    found = net.input_gradient(x, loss, KEYS, how)
    assert torch.allclose(found.gradient, reference.gradient, rtol=1e-9, atol=1e-12)
    assert torch.allclose(net.draws(x, KEYS, how), reference.logits, rtol=1e-9, atol=1e-12)


def test_the_choice_is_measured_once_for_a_shape(monkeypatch):
    net, x = build("lenet")
    calls = []
    seconds = probe._seconds
    monkeypatch.setattr(probe, "_seconds", lambda run: calls.append(1) or seconds(run))
    for _ in range(3):
        net.draws(x, KEYS)
    assert len(calls) == 3
    assert len(probe.chosen(net)) == 1
    net.draws(x[:2], KEYS)
    assert len(calls) == 6
    assert set(probe.chosen(net)) <= {"loop", "vmap", "threads"}


def test_a_way_that_gives_other_numbers_is_never_taken():
    net, x = build("lenet")
    right = (torch.arange(4.0),)
    ways = {"loop": lambda: right, "vmap": lambda: (right[0] + 0.01,), "threads": lambda: 1 / 0}
    monkeyed = [probe.fastest(net, "what", x, ways) for _ in range(2)]
    assert all(torch.equal(found[0], right[0]) for found in monkeyed)
    assert probe.chosen(net) == ["loop"]


def test_noise_of_another_source_is_left_to_the_loop():
    torch.manual_seed(0)
    net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 3)))
    x = torch.rand(5, 1, 4, 4)
    net.draws(x, KEYS)
    assert probe.chosen(net) == ["loop"]
    with pytest.raises(UsageError, match="train mode"):
        net.draws(x, KEYS, "threads")


def test_what_makes_no_sense():
    net, x = build("lenet")
    with pytest.raises(UsageError, match="different keys"):
        net.draws(x, [1, 1])
    with pytest.raises(UsageError, match="no way 'fast'"):
        net.draws(x, KEYS, "fast")


def test_replicas_follow_the_network():
    net, x = build("lenet")
    net.draws(x, KEYS, "threads")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    assert torch.allclose(net.draws(x, KEYS, "threads"), net.draws(x, KEYS, "loop"), rtol=1e-4, atol=1e-5)
    net.double()
    x = x.double()
    assert torch.allclose(net.draws(x, KEYS, "threads"), net.draws(x, KEYS, "loop"))


def test_replicas_see_what_was_changed_in_a_module():
    torch.manual_seed(0)
    net = randomize(nn.Sequential(nn.Linear(8, 4), nn.LeakyReLU(0.1), nn.Linear(4, 2)).eval())
    x = torch.randn(6, 8)
    before = net.draws(x, KEYS, "threads")
    net[1].negative_slope = 0.9
    assert torch.allclose(net.draws(x, KEYS, "threads"), net.draws(x, KEYS, "loop"), atol=1e-6)
    assert not torch.allclose(net.draws(x, KEYS, "threads"), before)
    net[1].register_forward_hook(lambda module, inputs, output: output * 0)
    assert torch.allclose(net.draws(x, KEYS, "threads"), net.draws(x, KEYS, "loop"), atol=1e-6)


@pytest.mark.parametrize("learn", [True, False])
@pytest.mark.parametrize("family", ["laplace", "mixture"])
@pytest.mark.parametrize("case", CASES)
def test_without_gaussian_layers_every_example_has_the_draw_of_a_sibling(case, family, learn):
    net, x = build(case, family)
    net, x = net.double(), x.double().requires_grad_()
    context = net.fixed(0) if learn else net.fixed(0, learn=False)
    with context:
        found = net.draws_per_example(x, 7)
    expected = torch.cat([net.at(sibling(7, i))(x[i : i + 1]) for i in range(len(x))])
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)
    slopes = [torch.autograd.grad(output.square().sum(), x, retain_graph=True)[0] for output in (found, expected)]
    assert torch.allclose(*slopes, rtol=1e-7, atol=1e-10)
    if learn:
        gradients = torch.autograd.grad(found.square().sum(), list(net.parameters()), allow_unused=True)
        assert all(gradient is not None for gradient in gradients)


@pytest.mark.parametrize("case", CASES)
def test_gaussian_layers_keep_the_law_of_the_loop(case):
    """Mean, variance and covariance of the outputs over many examples that are copies of one, against the loop."""
    net, x = build(case)
    copies, alone = 1000, x[:1]
    with torch.no_grad():
        at_once = net.draws_per_example(alone.expand(copies, *alone.shape[1:]), 5).double()  # (S, K)
        looped = net.draws(alone, range(10**6, 10**6 + copies), "loop")[:, 0].double()  # (S, K)
    for power in (1, 2):
        difference = (at_once**power).mean(0) - (looped**power).mean(0)
        error = (((at_once**power).var(0) + (looped**power).var(0)) / copies).sqrt()
        assert float((difference / error).abs().max()) < Z
    products = [(values[:, :-1] * values[:, 1:]) for values in (at_once, looped)]  # outputs share the layers below
    difference = products[0].mean(0) - products[1].mean(0)
    error = ((products[0].var(0) + products[1].var(0)) / copies).sqrt()
    assert float((difference / error).abs().max()) < Z


class Rows(nn.Module):
    """One linear layer on several rows of an example: the rows share the weights, so their noise is dependent."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 1)

    def forward(self, x):
        return self.layer(x)[..., 0]  # (B, T)


def test_rows_of_one_example_share_its_weights():
    torch.manual_seed(0)
    net = randomize(Rows(), scale=1.0)
    x = torch.rand(1, 1, 6).expand(4000, 2, 6)  # two equal rows: their outputs must be equal in every draw
    with torch.no_grad():
        found = net.draws_per_example(x, 1)
    assert torch.allclose(found[:, 0], found[:, 1])
    assert float(found[:, 0].std()) > 0.1


def test_a_layer_that_is_called_twice_has_one_draw():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            return self.layer(x) - self.layer(x)

    with torch.no_grad():
        assert not bool(randomize(Twice(), scale=1.0).draws_per_example(torch.rand(50, 6), 1).any())


def test_the_shortcut_is_taken_for_wide_linear_layers(monkeypatch):
    net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 4)))
    asked = []
    many = Draws.many
    monkeypatch.setattr(Draws, "many", lambda self, *args: asked.append(args[-1]) or many(self, *args))
    net.draws_per_example(torch.rand(50, 64), 1)
    assert asked == [[]]


def test_weights_are_drawn_in_pieces_of_a_bounded_size(monkeypatch):
    from variate.random import per_example

    net, x = build("lenet", "laplace")
    with torch.no_grad():
        whole = net.draws_per_example(x, 7)
        monkeypatch.setattr(per_example, "LIMIT", 2 * 4 * sum(p.numel() for p in net.mean().parameters()))
        assert torch.allclose(net.draws_per_example(x, 7), whole, rtol=1e-4, atol=1e-5)


def test_batch_norm_in_train_mode_mixes_examples():
    net = randomize(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
    with pytest.raises(UsageError, match="1 is batch norm in train mode"):
        net.train().draws_per_example(torch.rand(5, 4), 1)
    assert net.eval().draws_per_example(torch.rand(5, 4), 1).shape == (5, 4)


def test_the_scale_of_one_in_sqrt_of_draws():
    """Averaging real draws shrinks the spread of the mean as 1 / sqrt(S): the keys are really different."""
    net, x = build("lenet")
    outputs = net.draws(x[:1], range(64), "loop")[:, 0].double()
    groups = outputs.view(16, 4, -1).mean(1)
    ratio = float((groups.var(0) / outputs.var(0)).mean())
    assert 0.25 / 2 < ratio < 0.25 * 2
    assert math.isfinite(ratio)
