"""What a random network leaves alone, and what it keeps, on every kind of module of the catalogue."""

import gc
import weakref

import pytest
import torch
from catalogue import KEY, MODULES, equal, made, tensors

from variate.errors import RandomizeError
from variate.random.handle import handle_of
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")
NAMES = [name for name, module in MODULES.items() if not module.needs]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_call_draws_and_a_key_fixes_the_draw(name, training):
    module, net, x = made(name)
    assert isinstance(net, RandomNetwork)
    assert isinstance(net, type(module))
    net.train(training)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            assert not equal(net(x), net(x))
            with net.fixed(KEY):
                one = net(x)
                assert equal(one, net(x))
            with net.fixed(KEY + 1):
                assert not equal(one, net(x))


@pytest.mark.parametrize("name", NAMES)
def test_global_random_state_and_the_original_are_left_alone(name):
    module, _, x = made(name)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    net = randomize(module)
    sum(t.sum() for t in tensors(net.train()(x))).backward()
    net.at(KEY), net.mean()
    assert torch.equal(state, torch.get_rng_state())
    assert type(module) is not type(net)
    assert module.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[key]) for key, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the compiled sampler, the families' operations
@pytest.mark.parametrize("name", NAMES)
def test_noise_is_made_again_in_the_backward_pass_not_stored(name, dtype):
    _, net, _ = made(name, dtype)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        drawn = handle_of(net).draw(net, KEY)
    held = {tensor.data_ptr() for tensor in saved if tensor.numel()}
    assert held <= {parameter.data_ptr() for parameter in net.parameters()}
    assert any(tensor.requires_grad for tensor in drawn)


def test_running_statistics_move_in_the_network_itself():
    _, net, x = made("BatchNorm2d")
    before = net[1].running_mean.clone()
    net.train()(x)
    assert not torch.equal(net[1].running_mean, before)
    assert int(net[1].num_batches_tracked) == 1


class TestMemory:
    """The memory of a draw is used again only when nothing else holds it."""

    @pytest.fixture
    def net(self):
        return made("Linear")[1]

    @staticmethod
    def address(net, key):
        return handle_of(net).draw(net, key)[0].data_ptr()

    @pytest.mark.parametrize("grad", [True, False])
    def test_it_is_used_again(self, net, grad):
        with torch.set_grad_enabled(grad):
            assert self.address(net, 1) == self.address(net, 2)

    @pytest.mark.parametrize("grad", [True, False])
    @pytest.mark.parametrize(
        "held", [lambda t: t, lambda t: t[0], lambda t: t.detach(), lambda t: t.T, lambda t: {"deep": [t.view(-1)]}]
    )
    def test_it_is_left_alone_while_anything_holds_it(self, net, grad, held):
        with torch.set_grad_enabled(grad):
            kept = held(handle_of(net).draw(net, 1)[0])
            value = repr(kept)
            for key in (2, 3, 4):
                handle_of(net).draw(net, key)
            assert repr(kept) == value

    def test_a_graph_holds_it(self, net):
        x = torch.rand(3, 4, requires_grad=True)
        with net.fixed(1, learn=False):
            one = net(x)
        with net.fixed(2, learn=False):
            net(x).sum().backward()
        x.grad = None
        one.sum().backward()  # would use the second draw's weights, had they taken the first one's memory
        assert torch.allclose(x.grad, net.at(1).weight.sum(0).expand_as(x))

    def test_an_attribute_that_a_module_keeps_holds_it(self):
        class Keeper(torch.nn.Linear):
            def forward(self, x):
                self.kept = self.weight
                return super().forward(x)

        net = randomize(Keeper(4, 3))
        with torch.no_grad():
            with net.fixed(1):
                net(torch.rand(2, 4))
            kept, value = net.kept, net.kept.clone()
            with net.fixed(2):
                net(torch.rand(2, 4))
        assert torch.equal(kept, value)

    def test_gradients_of_two_passes_are_two_tensors(self, net):
        rho = net.scale_parameters()[0]
        with net.fixed(1):
            (first,) = torch.autograd.grad(net(torch.ones(2, 4)).sum(), rho)
            value = first.clone()
            torch.autograd.grad(net(3 * torch.ones(2, 4)).sum(), rho)
        assert torch.equal(first, value)

    def test_what_inference_mode_made_is_not_taken_for_training(self, net):
        with torch.inference_mode():
            net(torch.rand(2, 4))
        net(torch.rand(2, 4)).sum().backward()
        assert net.weight.grad is not None


def test_a_network_goes_at_once_when_nothing_holds_it():
    """Without waiting for the garbage collector: its memory may be all that a GPU has."""
    gc.disable()
    try:
        net = randomize(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)))
        net(torch.rand(2, 4)).sum().backward()
        with torch.no_grad():
            net.draws(torch.rand(2, 4), [1, 2])
        gone = weakref.ref(net)
        del net
        assert gone() is None
    finally:
        gc.enable()


def test_a_module_that_is_replaced_is_noticed():
    net = randomize(torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)))
    net(torch.rand(2, 4))
    net[1] = torch.nn.Linear(4, 2)
    with pytest.raises(RandomizeError, match="has lost its random parameter 'weight_rho'"):
        net(torch.rand(2, 4))
