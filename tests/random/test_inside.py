"""A random network as a part of a larger module, or inside a wrapper: every function of networks reaches it."""

import threading

import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.random.keys import Stream
from variate.random.randomize import randomize


class Scaled(nn.Module):
    def forward(self, x):
        return x * 2


class Backbones(nn.Module):
    """Two random networks and a deterministic head."""

    def __init__(self):
        super().__init__()
        self.one, self.two = randomize(nn.Linear(16, 4), scale=0.5), randomize(nn.Linear(16, 4), scale=0.5)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.cat([self.one(x.flatten(1)), self.two(x.flatten(1))], 1))


def boxed(net):
    return nn.Sequential(Scaled(), net)


def test_what_is_measured_is_that_of_the_network_inside(net):
    box = boxed(net)
    assert [site.name for site in variate.sites(box)] == [f"1.{site.name}" for site in variate.sites(net)]
    assert torch.equal(variate.kl(box, 0.1), variate.kl(net, 0.1))
    assert torch.equal(variate.entropy(box), variate.entropy(net))
    for function in (variate.stds, variate.sizes):
        inside = {f"1.{name}": value for name, value in function(net).items()}
        assert all(torch.equal(value, inside[name]) for name, value in function(box).items())
    assert [id(p) for p in variate.scale_parameters(box)] == [id(p) for p in variate.scale_parameters(net)]
    names = dict(box.named_parameters())
    assert all(name in names for name in variate.stds(box))


def test_draws_are_those_of_the_network_inside(net, x):
    box = boxed(net)
    with variate.fixed(box, 7):
        drawn = box(x)
    assert torch.equal(drawn, variate.at(net, 7)(2 * x))
    assert torch.equal(drawn, variate.at(box, 7)(x))
    assert torch.equal(variate.mean(box)(x), variate.mean(net)(2 * x))
    assert torch.equal(variate.draws(box, x, [1, 2]), torch.stack([variate.at(net, key)(2 * x) for key in (1, 2)]))
    assert torch.equal(variate.average(box, [1, 2], of="outputs")(x), variate.draws(box, x, [1, 2]).mean(0))
    gradient = variate.input_gradient(box, x, lambda logits: logits[:, 0], [1, 2]).gradient
    assert torch.allclose(gradient, 2 * variate.input_gradient(net, 2 * x, lambda out: out[:, 0], [1, 2]).gradient)
    assert variate.draws_per_example(box, x, 3).shape == (5, 3)
    assert variate.differs(box, 1, 2)
    assert not any(isinstance(part, variate.RandomNetwork) for part in variate.unwrap(box).modules())


def test_several_networks_have_their_own_noise_under_one_key(x):
    net = Backbones()
    with torch.no_grad():
        net.two.load_state_dict(net.one.state_dict())
    drawn = variate.at(net, 3)
    assert not torch.equal(drawn.one.weight, drawn.two.weight)
    with variate.fixed(net, 3):
        assert torch.equal(net(x), drawn(x))
    assert variate.deterministic_parameters(net) == ["head.weight", "head.bias"]
    with pytest.raises(UsageError, match="2 random networks"):
        variate.stream(net)


def test_a_seed_is_set_for_all_networks_inside(x):
    answers = []
    for _ in range(2):
        torch.manual_seed(0)
        net = Backbones()
        assert variate.set_seed(net, 4) is variate.stream(net)
        answers.append([net(x) for _ in range(2)])
    assert all(map(torch.equal, *answers))
    assert not torch.equal(*answers[0])
    assert variate.set_seed(net, None).seed is None


def test_compiled_networks_are_seen_through(net, x):
    compiled = torch.compile(net, backend="eager")
    assert list(variate.stds(compiled)) == list(variate.stds(net))
    assert type(variate.at(compiled, 3)) is nn.Sequential
    assert torch.equal(variate.mean(compiled)(x), variate.mean(net)(x))
    with variate.fixed(compiled, 3):
        assert torch.allclose(compiled(x), variate.at(net, 3)(x), atol=1e-6)
    assert torch.allclose(variate.draws(compiled, x, [1, 2]), variate.draws(net, x, [1, 2]), atol=1e-6)


def test_data_parallel_networks_are_seen_through(net, x, tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net)
        assert list(variate.stds(wrapped)) == list(variate.stds(net))
        assert torch.equal(variate.mean(wrapped)(x), variate.mean(net)(x))
        with variate.fixed(wrapped, 3):
            assert torch.equal(wrapped(x), variate.at(net, 3)(x))
        variate.set_seed(wrapped, 0)
        assert variate.stream(net).seed == 0
    finally:
        torch.distributed.destroy_process_group()


def test_an_average_over_fixed_keys_keeps_its_draws_in_a_larger_module(net, x):
    average = variate.average(net, [1, 2])
    box = nn.Sequential(Scaled(), average)
    both = nn.ModuleList([randomize(nn.Linear(2, 2)), average])
    expected = box(x)
    with variate.fixed(both, 9):
        assert torch.equal(box(x), expected)
    with pytest.raises(UsageError, match="contains none"), variate.fixed(box, 9):
        pass
    assert torch.equal(variate.kl(box, 0.1), variate.kl(net, 0.1))


@pytest.mark.parametrize("function", [variate.mean, variate.stds, variate.sites, lambda net: variate.kl(net, 1.0)])
def test_a_module_without_random_networks_is_refused(function):
    with pytest.raises(UsageError, match="contains none"):
        function(nn.Sequential(nn.Linear(2, 2)))


def test_several_outputs_are_refused_with_a_way_out(x):
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)), x

    with pytest.raises(InputError, match="tuple of 2"):
        variate.draws(randomize(Pair(16, 3)), x, [1, 2])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_torchscript_is_refused_with_a_way_out(net):
    with pytest.raises(UsageError, match="TorchScript"):
        torch.jit.script(net)


class Meeting(nn.Module):
    """Two layers, between which every thread waits for the others, if it can."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        hidden = self.one(x)
        threading.Event().wait(0.001)
        return self.two(torch.tanh(hidden))


@pytest.mark.parametrize("gradients", [False, True])
def test_threads_that_share_a_network_get_their_own_draws(gradients):
    torch.manual_seed(0)
    net, x, wrong = randomize(Meeting(), scale=0.5).eval(), torch.rand(3, 4), []
    expected = {key: variate.at(net, key)(x) for key in range(40)}

    def ask(first):
        for key in range(first, 40, 4):
            with variate.fixed(net, key):
                answer = net(x)
                if gradients:
                    torch.autograd.grad(answer.sum(), list(net.parameters()))
                elif not torch.equal(net(x), answer):
                    wrong.append(key)
            if not torch.equal(answer, expected[key]):
                wrong.append(key)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_what_is_fixed_in_one_thread_is_not_fixed_in_another(net, x):
    answers = []

    def ask():
        answers.extend([net(x), net(x)])

    with variate.fixed(net, 3), variate.keys_from(net, Stream("user", 0)):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        assert torch.equal(net(x), net(x))
    assert not torch.equal(*answers)
    assert variate.stream(net).name == "serve"


ZEROS = {
    "zero convolution": lambda: nn.Conv2d(16, 16, 3, padding=1),
    "second matrix of LoRA": lambda: nn.Linear(16, 16, bias=False),
    "last norm": lambda: nn.GroupNorm(4, 16),
}


@pytest.mark.parametrize("name", ZEROS)
@pytest.mark.parametrize("options", [{}, {"floor": 0.1}, {"snr": 10.0}, {"share": "network"}], ids=str)
def test_layers_that_start_at_zero_have_noise_in_proportion_to_their_inputs(name, options):
    torch.manual_seed(0)
    layer = ZEROS[name]()
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    net = randomize(layer, **options)
    x = torch.randn(16, 16, 16) if name.startswith("second") else torch.randn(1, 16, 16, 16)
    with torch.no_grad():
        noise = float(torch.stack([net(x) for _ in range(20)]).std())
    assert 0.005 < noise < 0.2
    before = {name: std.detach() for name, std in variate.stds(net).items()}
    with torch.no_grad():
        for site in variate.sites(net):
            net.get_parameter(site.name).add_(1e-4)  # a first step
    assert all(torch.allclose(std, before[name], rtol=0.02) for name, std in variate.stds(net).items())


def test_draws_do_not_depend_on_the_number_of_threads():
    torch.manual_seed(0)
    plain = nn.Linear(700, 500)
    drawn = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            nets = [randomize(plain, **options) for options in ({"snr": 5.0}, {"floor": 0.1}, {"share": "network"})]
            drawn.append([variate.at(net, 5).weight for net in nets])
    finally:
        torch.set_num_threads(1)
    for other in drawn[1:]:
        assert all(map(torch.equal, drawn[0], other))
