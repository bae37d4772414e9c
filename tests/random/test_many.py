"""Many draws at once: groups of draws give what the loop over keys gives."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.datasets.info import About
from variate.errors import InputError, UsageError
from variate.oracle.losses import _negative, by_row, cross_entropy, dlr, dlr_reached, margin
from variate.oracle.white_box import GradientOracle
from variate.random import many
from variate.random.draw.buffers import Memory
from variate.random.draw.node import Draws
from variate.random.keys import Stream, legacy_seed, sibling
from variate.random.randomize import randomize
from variate.random.seeding import outputs_under, passes_under
from variate.testing.findings import Z
from variate.training.saved import build as build_network

KEYS = [3, 1, 4, 15, 9]


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


@pytest.fixture(params=["loop", "groups"])
def way(request, monkeypatch):
    """Both sides of the rule, whatever the sizes."""
    monkeypatch.setattr(many, "LEAST", 1 if request.param == "groups" else 10**9)
    return request.param


@pytest.mark.parametrize("family", ["normal", "bernoulli", "laplace(share=channel)"])
@pytest.mark.parametrize("case", CASES)
def test_draws_equal_plain_modules(case, way, family):
    net, x = build(case, family)
    outputs, value, gradient = by_hand(net, x)
    for _ in range(2):  # the first time finds out whether draws can be grouped
        assert torch.allclose(net.draws(x, KEYS), outputs, rtol=1e-4, atol=1e-5)
        passes = net.input_gradient(x, loss, KEYS)
        assert torch.allclose(passes.logits, outputs, rtol=1e-4, atol=1e-5)
        assert torch.allclose(passes.loss, value, rtol=1e-4, atol=1e-5)
        assert torch.allclose(passes.gradient, gradient, rtol=1e-3, atol=1e-5)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not passes.logits.requires_grad
    with torch.no_grad():
        assert (many.group_size(net, x, KEYS) > 1) == (way == "groups" and case == "lenet")  # the others have no rule


def test_draws_of_double_precision_differ_by_double_rounding_only(way, monkeypatch):
    net, x = build("lenet")
    net, x = net.double(), x.double()
    found, outputs = net.input_gradient(x, loss, KEYS), net.draws(x, KEYS)
    monkeypatch.setattr(many, "LEAST", 10**9)
    reference = net.input_gradient(x, loss, KEYS)
    assert torch.allclose(found.gradient, reference.gradient, rtol=1e-9, atol=1e-12)
    assert torch.allclose(outputs, reference.logits, rtol=1e-9, atol=1e-12)
    assert way == "groups" or torch.equal(outputs, reference.logits)


def forwards(net, monkeypatch):
    """How often the network's first layer ran so far: once for a group, once for a draw of the loop."""
    calls = []
    layer = type(next(net.children()))
    forward = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, *args: calls.append(1) or forward(self, *args))
    return calls


def test_groups_are_taken_by_the_sizes_alone():
    net, x = build("lenet")
    with torch.no_grad():
        assert many.group_size(net, x, range(16)) == 16
        assert many.group_size(net, x, range(many.LEAST - 1)) == 1
        assert many.group_size(net, x.expand(-1, -1, -1, -1)[:0], range(16)) == 1
        assert many.group_size(net, x[:1].repeat(many.SMALL, 1, 1, 1), range(16)) == 16
        assert many.group_size(net, x[:1].repeat(many.SMALL + 1, 1, 1, 1), range(16)) == 1
        assert many.group_size(net, x, range(1000)) == many.WEIGHTS // (4 * 107_786)
        wide = randomize(nn.Linear(2048, 1024)).eval()
        assert many.group_size(wide, torch.rand(1, 2048), range(16)) == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_the_rule_does_not_look_at_threads_or_time(threads):
    net, x = build("lenet")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert many.group_size(net, x, range(16)) == 16
    finally:
        torch.set_num_threads(before)


def test_what_can_be_grouped_is_found_out_once(way, monkeypatch):
    class Small(nn.Sequential):
        pass

    net = randomize(Small(nn.Linear(8, 4))).eval()
    x = torch.rand(3, 8)
    net.draws(x, KEYS)
    calls = forwards(net, monkeypatch)
    net.draws(x, KEYS)
    net.draws(x[:1], KEYS)
    assert len(calls) == 2 * (1 if way == "groups" else len(KEYS))


class Elsewhere(nn.Module):
    """A linear map with noise that does not come from the key."""

    def __init__(self, noise):
        super().__init__()
        self.layer, self.noise = nn.Linear(6, 3), noise

    def forward(self, x):
        return self.noise(self.layer(x))


NOISES = {
    "normal": lambda out: out + torch.randn_like(out),
    "dropout": lambda out: F.dropout(out, 0.5, training=True),
    "new": lambda out: out + torch.rand(3),
    "one for all draws": lambda out: out * torch.bernoulli(torch.full((3,), 0.5)),
}


@pytest.mark.parametrize("size", [1, 5, 30])
@pytest.mark.parametrize("noise", NOISES)
def test_noise_from_the_global_generator_is_that_of_the_key(noise, size):
    """The numbers are those of every key alone, and repeat; they are not one noise for all draws."""
    net = randomize(Elsewhere(NOISES[noise])).eval()
    x = torch.rand(size, 6)
    state = torch.get_rng_state()
    alone = []
    for key in range(5):
        with torch.no_grad(), torch.random.fork_rng():
            torch.default_generator.manual_seed(legacy_seed(key))
            alone.append(net.noise(net.at(key).layer(x)))
    for _ in range(2):
        assert torch.allclose(outputs_under(net, x, range(5)), torch.stack(alone), rtol=1e-5, atol=1e-6)
        values = list(passes_under(net, x, loss, range(5)))
        assert torch.allclose(torch.cat([part.logits for part in values]), torch.stack(alone), rtol=1e-5, atol=1e-6)
    assert torch.equal(state, torch.get_rng_state())


def test_dropout_in_train_mode_is_that_of_the_key():
    torch.manual_seed(0)
    net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 3))).train()
    x = torch.rand(5, 1, 4, 4)
    found = outputs_under(net, x, KEYS)
    assert torch.equal(found, torch.cat([outputs_under(net, x, [key]) for key in KEYS]))
    assert torch.equal(found, outputs_under(net, x, KEYS))


def test_noise_from_numpy_differs_from_draw_to_draw():
    generator = np.random.default_rng(0)
    net = randomize(Elsewhere(lambda out: out * float(generator.uniform())), scale=1e-6).eval()
    found = net.draws(torch.rand(2, 6), KEYS)
    assert all(not torch.allclose(found[0], other) for other in found[1:])


@pytest.mark.parametrize(
    "loss",
    [cross_entropy, margin, dlr, partial(_negative, dlr_reached)],
    ids=["cross-entropy", "margin", "dlr", "aimed"],
)
def test_losses_by_row_take_the_draws_of_a_group_at_once(loss):
    net, x = randomize(small_lenet(), scale=0.3), torch.rand(4, 1, 28, 28)
    assert by_row(loss)
    assert not by_row(lambda logits, y: loss(logits, y))  # which may look at its batch
    found = []
    for losses in (loss, lambda logits, y: loss(logits, y)):
        oracle = GradientOracle(net, draws=5, stream=Stream("search", 0))
        found.append(oracle.gradient(x, torch.arange(4), losses))
    for together, each in zip(*found, strict=True):
        assert torch.allclose(together, each, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("spoil", [lambda out: torch.cat([out, out]), torch.sum, lambda out: out[:, 0]])
def test_a_search_refuses_outputs_that_are_no_logits(spoil, size, monkeypatch):
    class Spoiled(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            return spoil(self.layer(x))

    monkeypatch.setattr(many, "LEAST", size if size > 1 else 10**9)  # a group, or the loop
    oracle = GradientOracle(randomize(Spoiled()).eval(), draws=5, stream=Stream("search", 0))
    with pytest.raises(InputError, match="for 3 inputs"):
        oracle.gradient(torch.rand(3, 4), torch.arange(3))


def test_a_loop_of_passes_draws_into_the_same_memory(monkeypatch):
    net, x = randomize(small_lenet()), torch.rand(4, 1, 28, 28)
    used, take = [], Memory.take
    monkeypatch.setattr(Memory, "take", lambda self, *rest: used.append(take(self, *rest)[0].data_ptr()) or kept(self))

    def kept(memory):
        return list(memory._last[1])

    for _ in passes_under(net, x, lambda logits: cross_entropy(logits, torch.arange(4)), KEYS, alone=True):
        pass
    assert len(used) == len(KEYS)
    assert len(set(used)) == 1


def test_hooks_of_the_whole_network_are_kept():
    net, x = build("lenet")
    plain = net.draws(x, KEYS)
    net.register_forward_hook(lambda _module, _inputs, output: output * 2)
    assert torch.allclose(net.draws(x, KEYS), 2 * plain, rtol=1e-4, atol=1e-5)


def test_what_depends_on_the_weights_is_looped():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x):
            out = self.layer(x)
            return out if float(out.detach().sum()) > 0 else -2 * out

    net, x = randomize(Branch(), scale=2.0).eval(), torch.rand(2, 6)
    expected = torch.stack([net.at(key)(x) for key in KEYS])
    assert torch.allclose(net.draws(x, KEYS), expected)
    assert torch.allclose(net.input_gradient(x, loss, KEYS).logits, expected)


@pytest.mark.parametrize(
    ("spoil", "words"), [(lambda out: out * math.nan, "NaN logits"), (lambda out: (out, out), "returned tuple")]
)
def test_outputs_that_are_no_logits_are_the_error_that_they_are_in_a_loop(spoil, words):
    net = randomize(Elsewhere(spoil)).eval()
    for examples in (2, 20):
        with pytest.raises(InputError, match=words):
            outputs_under(net, torch.rand(examples, 6), range(8))


def test_what_makes_no_sense():
    net, x = build("lenet")
    with pytest.raises(UsageError, match="different keys"):
        net.draws(x, [1, 1])
    with pytest.raises(UsageError, match="different keys"):
        net.input_gradient(x, loss, [1, 1])


@pytest.mark.parametrize("way", ["groups"], indirect=True)
def test_groups_follow_the_network(way):
    torch.manual_seed(0)
    net = randomize(nn.Sequential(nn.Linear(8, 4), nn.LeakyReLU(0.1), nn.Linear(4, 2)).eval())
    x = torch.randn(6, 8)
    before = net.draws(x, KEYS)
    net[1].negative_slope = 0.9
    with torch.no_grad():
        net[0].weight.mul_(1.5)
    after = net.draws(x, KEYS)
    assert torch.allclose(after, torch.stack([net.at(key)(x) for key in KEYS]), atol=1e-6)
    assert not torch.allclose(after, before)
    net[1] = nn.Tanh()
    assert torch.allclose(net.draws(x, KEYS), torch.stack([net.at(key)(x) for key in KEYS]), atol=1e-6)
    net.double()
    x = x.double()
    assert torch.allclose(net.draws(x, KEYS), torch.stack([net.at(key)(x) for key in KEYS]), atol=1e-12)


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
def test_gaussian_layers_keep_the_distribution_of_the_loop(case):
    """Mean, variance and covariance of the outputs over many examples that are copies of one, against the loop."""
    net, x = build(case)
    copies, alone = 1000, x[:1]
    with torch.no_grad():
        at_once = net.draws_per_example(alone.expand(copies, *alone.shape[1:]), 5).double()  # (S, K)
        looped = net.draws(alone, range(10**6, 10**6 + copies))[:, 0].double()  # (S, K)
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
    outputs = net.draws(x[:1], range(64))[:, 0].double()
    groups = outputs.view(16, 4, -1).mean(1)
    ratio = float((groups.var(0) / outputs.var(0)).mean())
    assert 0.25 / 2 < ratio < 0.25 * 2
    assert math.isfinite(ratio)
