"""What ``randomize`` promises, on every kind of module; the slow twin says what is right."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from variate.network import RandomNetwork
from variate.randomization import randomize
from variate.testing.slow import slow_forward

KEY = 5


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.decode = nn.Linear(4, 7)
        self.decode.weight = self.embed.weight

    def forward(self, tokens):
        return self.decode(torch.tanh(self.embed(tokens)))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.same = self.layer

    def forward(self, x):
        return self.same(torch.tanh(self.layer(x)))


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(3)])
        self.named = nn.ParameterDict({"shift": nn.Parameter(torch.randn(4))})

    def forward(self, x):
        for step in self.steps:
            x = torch.tanh(x @ step)
        return x + self.named["shift"]


class Scalar(nn.Module):
    """A parameter without dimensions, such as a learned temperature."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.layer(x) / self.temperature


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


def transformer():
    layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def images():
    return torch.rand(5, 2, 6, 6, dtype=torch.float64)


def rows():
    return torch.rand(5, 4, dtype=torch.float64)


def sequences():
    return torch.rand(3, 5, 4, dtype=torch.float64)


def tokens():
    return torch.arange(10).view(2, 5) % 7


CASES = {
    "linear": (lambda: nn.Linear(4, 3), rows),
    "convolution": (lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular", groups=2), images),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), images),
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), images),
    "group norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.PReLU()), images),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), rows),
    "embedding": (lambda: nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.Linear(4, 2)), tokens),
    "tied": (Tied, tokens),
    "twice": (Twice, rows),
    "lists": (Listed, rows),
    "scalar": (Scalar, rows),
    "rnn": (lambda: nn.RNN(4, 3, nonlinearity="relu"), sequences),
    "lstm": (lambda: nn.LSTM(4, 3, num_layers=2, bidirectional=True, proj_size=2), sequences),
    "lstm inside": (lambda: nn.Sequential(nn.LSTM(4, 3, batch_first=True)), sequences),
    "gru": (lambda: nn.GRU(4, 3, num_layers=2), sequences),
    "attention": (SelfAttention, sequences),
    "transformer": (transformer, sequences),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(4, 3)), rows),
    "frozen": (lambda: nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Tanh(), nn.Linear(4, 2)), rows),
}
PICKLES = [case for case in CASES if case != "weight norm"]  # torch itself refuses to pickle parametrizations


def build(case):
    torch.manual_seed(0)
    make, inputs = CASES[case]
    module = make().double()
    return module, randomize(module), inputs()


def tensors(output):
    """All tensors of an output that may be nested tuples."""
    return [output] if isinstance(output, torch.Tensor) else [t for part in output for t in tensors(part)]


def close(one, two):
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(tensors(one), tensors(two), strict=True))


def equal(one, two):
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


def gradients(net, output):
    net.zero_grad()
    sum((t**2 * torch.linspace(1, 2, t.numel()).view_as(t)).sum() for t in tensors(output)).backward()
    return {name: p.grad for name, p in net.named_parameters()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients_equal_the_slow_twin(case, training):
    _, net, x = build(case)
    net.train(training)
    slow = slow_forward(net, KEY, x)
    expected = gradients(net, slow)
    with net.fixed(KEY):
        fast = net(x)
    found = gradients(net, fast)
    assert close(fast, slow)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (gradient is None) == (found[name] is None), name
        assert gradient is None or torch.allclose(found[name], gradient, rtol=1e-8, atol=1e-10), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_every_call_draws_and_a_key_fixes_the_draw(case, training):
    _, net, x = build(case)
    net.train(training)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            assert not equal(net(x), net(x))
            with net.fixed(KEY):
                one = net(x)
                assert equal(one, net(x))
            with net.fixed(KEY + 1):
                assert not equal(one, net(x))


@pytest.mark.parametrize("case", CASES)
def test_a_draw_and_the_mean_are_plain_modules_that_load_into_the_original(case):
    module, net, x = build(case)
    net.eval()
    module.eval()
    assert isinstance(net, RandomNetwork)
    assert isinstance(net, type(module))
    with torch.no_grad():
        assert close(net.mean()(x), module(x))
        with net.fixed(KEY):
            drawn = net(x)
        assert close(net.at(KEY)(x), drawn)
        for plain, expected in ((net.at(KEY), drawn), (net.mean(), module(x))):
            assert type(plain) is type(module)
            assert plain.state_dict().keys() == module.state_dict().keys()
            module.load_state_dict(plain.state_dict())
            assert close(module(x), expected)
            module.load_state_dict(net.mean().state_dict())


@pytest.mark.parametrize("case", CASES)
def test_pretrained_weights_load_under_their_own_names(case):
    module, net, x = build(case)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2).add_(0.1)
    scales = [scale.clone() for scale in net.scale_parameters()]
    net.load_state_dict(module.state_dict())  # strict: every name of the original is there
    assert all(torch.equal(one, other) for one, other in zip(scales, net.scale_parameters(), strict=True))
    assert close(net.mean().eval()(x), module.eval()(x))


@pytest.mark.parametrize("case", CASES)
def test_a_copy_made_after_a_recorded_forward_is_whole(case):
    _, net, x = build(case)
    net.eval()
    net(x)
    assert same_draw(net, copy.deepcopy(net), x)


@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_made_after_a_recorded_forward_is_whole(case):
    _, net, x = build(case)
    net.eval()
    net(x)
    assert same_draw(net, pickle.loads(pickle.dumps(net)), x)


def same_draw(net, other, x):
    assert type(other) is type(net)
    assert {id(p) for p in other.parameters()}.isdisjoint(id(p) for p in net.parameters())
    with net.fixed(KEY), other.fixed(KEY):
        return close(net(x), other(x))


@pytest.mark.parametrize("case", CASES)
def test_global_random_state_and_the_original_are_left_alone(case):
    module, _, x = build(case)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    net = randomize(module)
    sum(t.sum() for t in tensors(net.train()(x))).backward()
    net.at(KEY), net.mean()
    assert torch.equal(state, torch.get_rng_state())
    assert type(module) is not type(net)
    assert module.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64]
)  # the compiled sampler, and the families' own operations
@pytest.mark.parametrize("case", CASES)
def test_noise_is_made_again_in_the_backward_pass_not_stored(case, dtype):
    _, net, _ = build(case)
    net.to(dtype)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor) or tensor, lambda tensor: tensor):
        drawn = net._draw(KEY)
    held = {tensor.data_ptr() for tensor in saved if tensor.numel()}
    assert held <= {parameter.data_ptr() for parameter in net.parameters()}
    assert drawn[0].requires_grad


def test_running_statistics_move_in_the_network_itself():
    _, net, x = build("batch norm")
    before = net[1].running_mean.clone()
    net.train()(x)
    assert not torch.equal(net[1].running_mean, before)
    assert int(net[1].num_batches_tracked) == 1
