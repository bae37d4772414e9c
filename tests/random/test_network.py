import copy
import inspect
import pickle

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.random.average import AverageNetwork, mean_log_probabilities
from variate.random.keys import Stream
from variate.random.network import RandomNetwork
from variate.random.parameters import HANDLE
from variate.random.randomize import randomize
from variate.testing.slow import slow_draw, slow_forward


class Signed(nn.Module):
    """A forward with a signature of its own, an argument named key, and another method that uses the weights."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x, *, key: float = 1.0, power=2):
        """The forward's own docstring."""
        return self.layer(x) * key**power

    def encode(self, x):
        return self.layer(x)


def norms(module):
    return {name: float(parameter.detach().norm()) for name, parameter in module.named_parameters()}


def test_the_serving_stream_is_seeded_by_the_operating_system(mlp):
    one, two = randomize(mlp), randomize(mlp)
    assert one.stream.name == "serve"
    assert one.stream.seed is None
    assert one.stream.take(2) != two.stream.take(2)


def test_calls_take_the_next_keys_of_the_stream(net, x):
    keys = Stream("search", 3).take(3)
    with net.keys_from(Stream("search", 3)):
        outputs = [net(x) for _ in keys]
    for key, output in zip(keys, outputs, strict=True):
        with net.fixed(key):
            assert torch.equal(net(x), output)
    assert net.stream.name == "serve"


def test_fixed_nests_and_takes_no_key(net, x):
    index = net.stream.index
    with net.fixed(1):
        one = net(x)
        with net.fixed(2):
            two = net(x)
        assert torch.equal(net(x), one)
    assert not torch.equal(one, two)
    assert net.stream.index == index
    net(x)
    assert net.stream.index == index + 1


@pytest.mark.parametrize("leave", [lambda net: net.fixed(1), lambda net: net.keys_from(Stream("search", 0))])
def test_an_error_inside_is_cleaned_up(net, x, leave):
    stream = net.stream
    with pytest.raises(RuntimeError), leave(net):
        net(torch.ones(1, 7))
    assert net.stream is stream
    assert not torch.equal(net(x), net(x))
    assert vars(net[1]).keys() == vars(nn.Linear(1, 1)).keys()


@pytest.mark.parametrize("key", [-1, 2**63, 1.5, True])
def test_what_is_no_key(net, key):
    with pytest.raises(UsageError, match="is not a key"):
        net.at(key)
    with pytest.raises(UsageError, match="is not a key"), net.fixed(key):
        pass


def test_the_signature_and_docstring_stay():
    module = Signed()
    net = randomize(module)
    assert inspect.signature(net.forward) == inspect.signature(module.forward)
    assert type(net).forward.__doc__ == Signed.forward.__doc__
    x = torch.ones(1, 4)
    with net.fixed(1):
        assert torch.allclose(net(x, key=3.0, power=1), 3 * net(x))


@pytest.mark.parametrize("grad", [False, True])
def test_other_methods_see_the_means_and_say_so_once(grad):
    net, x = randomize(Signed(), scale=1.0), torch.ones(1, 4)
    with torch.set_grad_enabled(grad):
        net(x)
        with pytest.warns(UserWarning, match=r"with net.drawn\(\): net.encode"):
            encoded = net.encode(x)
        assert torch.equal(encoded, net.mean().encode(x))
        assert torch.equal(net.encode(x), encoded)
        with net.drawn(3):
            assert torch.equal(net.encode(x), net.at(3).encode(x))


def test_without_learning_no_gradient_reaches_the_parameters_but_the_input(net, x):
    leaf = x.requires_grad_()
    with net.fixed(1, learn=False):
        net(leaf).square().sum().backward()
    assert bool(leaf.grad.any())
    assert all(parameter.grad is None for parameter in net.parameters())
    with net.fixed(1):
        assert net(x.detach()).requires_grad


def test_nothing_is_recorded_without_gradients(net, x):
    with torch.no_grad():
        assert not net(x).requires_grad
    with torch.inference_mode():
        one = net(x)
    assert not torch.equal(one, net(x))


def test_a_gradient_penalty_equals_that_of_the_slow_twin(net, x):
    net.double()
    leaf = x.double().requires_grad_()

    def penalty(output):
        slope = torch.autograd.grad(output.square().sum(), leaf, create_graph=True)[0]
        return torch.autograd.grad(slope.square().sum(), list(net.parameters()))

    with net.fixed(1):
        found = penalty(net(leaf))
    for one, other in zip(found, penalty(slow_forward(net, 1, leaf)), strict=True):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-12)


def test_exceptions_do_not_change_the_draws_of_other_parameters(mlp, x):
    whole, part = randomize(mlp), randomize(mlp, {"*.bias": "fixed"})
    frozen = copy.deepcopy(whole).requires_grad_(False)
    expected = slow_draw(whole, 9)
    for net in (part, frozen):
        drawn = slow_draw(net, 9)
        same = [name for name in expected if torch.equal(drawn[name], expected[name])]
        assert same == [name for name in expected if name not in net.deterministic_parameters()]
        assert same
    with frozen.fixed(9), whole.fixed(9):
        assert torch.equal(frozen(x), whole(x))


@pytest.mark.parametrize("of", ["probabilities", "outputs"])
def test_an_average_equals_the_one_by_hand(net, x, of):
    keys = [3, 1, 4]
    with torch.no_grad():
        outputs = torch.stack([net.at(key)(x) for key in keys])
        by_hand = outputs.softmax(-1).mean(0).log() if of == "probabilities" else outputs.mean(0)
        average = net.average(keys, of=of)
        assert torch.allclose(average(x), by_hand, atol=1e-6)
        assert torch.equal(average(x), average(x))
    assert isinstance(average, AverageNetwork)
    assert not isinstance(average, RandomNetwork)
    assert {id(p) for p in average.parameters()} == {id(p) for p in net.parameters()}


def test_probabilities_are_averaged_as_probabilities():
    logits = torch.tensor([[[1000.0, 0.0]], [[0.0, 1000.0]], [[0.0, 1000.0]]])
    assert torch.allclose(mean_log_probabilities(logits).softmax(-1), torch.tensor([[1 / 3, 2 / 3]]))


@pytest.mark.parametrize(("keys", "of"), [([], "outputs"), ([1, 1], "outputs"), ([-1], "outputs"), ([1], "votes")])
def test_averages_that_cannot_be(net, keys, of):
    with pytest.raises(UsageError):
        net.average(keys, of=of)


def test_an_average_of_one_draw_is_that_draw(net, x):
    with net.fixed(7):
        assert torch.allclose(net.average([7])(x), net(x).log_softmax(-1), atol=1e-6)


def test_starting_scales_are_a_fraction_of_each_tensors_size():
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        module[0].bias.zero_()
    net = randomize(module, scale=0.25)
    size = {name: float(parameter.detach().square().mean().sqrt()) for name, parameter in module.named_parameters()}
    size["0.bias"], size["1.bias"] = size["0.weight"], size["1.weight"]  # a tensor of zeros has its neighbor's size
    for name, std in net.stds().items():
        assert std.shape == module.get_parameter(name).shape
        assert std.detach().flatten().tolist() == pytest.approx([0.25 * size[name]] * std.numel(), rel=1e-5)
    assert {name: float(value) for name, value in net.sizes().items()} == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize("scale", [0, -0.1, float("inf"), float("nan")])
def test_scales_that_cannot_be(mlp, scale):
    with pytest.raises(UsageError, match="makes nothing random"):
        randomize(mlp, scale=scale)


def test_stds_agree_with_draws(net):
    weights = torch.stack([net.at(key)[1].weight.detach() for key in range(400)])  # (S, ...)
    units = (weights - net[1].weight.detach()) / net.stds()["1.weight"].detach()
    assert abs(float(units.mean())) < 5 / units.numel() ** 0.5
    assert abs(float(units.square().mean()) - 1) < 5 * (2 / units.numel()) ** 0.5


def test_exceptions_are_listed(mlp):
    assert randomize(mlp).deterministic_parameters() == []
    assert randomize(mlp, {"3.*": "fixed"}).deterministic_parameters() == ["3.weight", "3.bias"]


def test_scale_parameters_are_those_that_the_module_did_not_have(net, mlp):
    scales = {id(parameter) for parameter in net.scale_parameters()}
    names = [name for name, parameter in net.named_parameters() if id(parameter) in scales]
    assert set(dict(net.named_parameters())) - set(names) == set(dict(mlp.named_parameters()))
    assert all(name.endswith("_rho") for name in names)


def test_draws_differ_unless_the_scales_vanish(net):
    assert net.differs(1, 2)
    assert not net.differs(1, 1)
    with torch.no_grad():
        for scale in net.scale_parameters():
            scale.fill_(-1e4)
    assert not net.differs(1, 2)


def test_frozen_parameters_get_frozen_scales(mlp, x):
    mlp[1].requires_grad_(False)
    net = randomize(mlp)
    assert {n for n, p in net.named_parameters() if not p.requires_grad} == {
        "1.weight", "1.bias", "1.weight_rho", "1.bias_rho",
    }  # fmt: skip
    net(x).sum().backward()
    assert net[1].weight_rho.grad is None
    assert net[3].weight_rho.grad is not None


def test_the_types_follow_the_network(net, x):
    with net.fixed(1):
        single = net(x)
        double = net.double()(x.double())
    assert double.dtype == torch.float64
    assert torch.allclose(double.float(), single, atol=1e-5)


def test_hooks_and_state_survive_in_plain_copies(net, x):
    net.register_buffer("counted", torch.zeros(()))
    net.note = "kept"
    seen = []
    net[1].register_forward_hook(lambda *_: seen.append(1))
    plain = net.at(1)
    plain(x)
    assert (plain.note, len(seen), "counted" in dict(plain.named_buffers())) == ("kept", 1, True)
    assert not any(hasattr(plain, name) for name in ("sites", "stream", "fixed", "stds", HANDLE))
    assert norms(net.mean()).keys() == norms(plain).keys()


@pytest.mark.parametrize("copier", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_of_a_served_network_do_not_repeat_each_others_draws(net, x, copier):
    one, two = copier(net), copier(net)
    assert one.stream.name == two.stream.name == "serve"
    assert not torch.equal(one(x), two(x))


def test_plain_modules_of_two_draws_share_nothing(net, x):
    one, two = net.at(1), net.at(2)
    before = two(x)
    with torch.no_grad():
        for parameter in [*one.parameters(), *net.parameters()]:
            parameter.zero_()
    assert torch.equal(two(x), before)
