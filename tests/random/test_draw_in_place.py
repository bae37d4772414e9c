"""What sees a draw: everything in a forward and in a block, what it returns for later, and what is nested in it."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from variate.errors import UsageError
from variate.random.randomize import randomize

X = torch.linspace(-1, 1, 20).view(5, 4)


class ByName(nn.Linear):
    def forward(self, x):
        return x @ dict(self.named_parameters())["weight"].T + self._parameters["bias"]


class ByState(nn.Linear):
    def forward(self, x):
        return x @ next(self.parameters()).T + self.state_dict()["bias"] * 0 + self.bias


class Recursive(nn.Linear):
    def forward(self, x, again=True):
        return self(super().forward(x), again=False) if again else super().forward(x)


@pytest.mark.parametrize("kind", [ByName, ByState, Recursive])
def test_the_registered_parameters_are_the_draw(kind):
    net = randomize(kind(4, 4), scale=0.5)
    weight = net.weight
    with net.fixed(3):
        output = net(X)
    assert torch.allclose(output, net.at(3)(X), atol=1e-6)
    assert net.weight is weight is net._parameters["weight"]
    assert not torch.equal(net(X), net(X))


class Hyper(nn.Module):
    def __init__(self):
        super().__init__()
        self.made, self.layer = nn.Linear(1, 16), nn.Linear(4, 4, bias=False)

    def forward(self, x, t):
        return functional_call(self.layer, {"weight": self.made(t).view(4, 4)}, (x,))


class Learner(nn.Module):
    """A step of MAML inside the forward."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        weights = dict(self.layer.named_parameters())
        loss = functional_call(self.layer, weights, (x,)).square().sum()
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        stepped = {name: w - 0.1 * s for (name, w), s in zip(weights.items(), slopes, strict=True)}
        return functional_call(self.layer, stepped, (x,))


def test_weights_that_a_forward_makes_are_used():
    net = randomize(Hyper(), scale=0.3)
    with net.fixed(1):
        one, other = net(X, torch.zeros(1)), net(X, torch.ones(1))
        assert not torch.allclose(one, other)
        assert torch.allclose(one, net.at(1)(X, torch.zeros(1)), atol=1e-6)
    learner = randomize(Learner(), scale=0.3)
    with learner.fixed(1):
        assert torch.allclose(learner(X), learner.at(1)(X), atol=1e-5)


def test_the_cache_of_parametrizations_does_not_outlive_a_draw():
    net = randomize(nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3))), scale=0.5)
    with parametrize.cached():
        assert not torch.equal(net(X), net(X))


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)


class Rows(Lazy):
    def forward(self, x):
        yield from (self.layer(row) for row in x)


class Mapped(Lazy):
    def forward(self, x):
        return map(self.layer, x)


class Closure(Lazy):
    def forward(self, x):
        return {"log_prob": lambda y: torch.distributions.Normal(self.layer(x), 1.0).log_prob(y)}


class Density:
    def __init__(self, layer, x):
        self.layer, self.x = layer, x

    def log_prob(self, y):
        return torch.distributions.Normal(self.layer(self.x), 1.0).log_prob(y)


class Flow(Lazy):
    def forward(self, x):
        return Density(self.layer, x)


USES = {
    Rows: lambda out: torch.stack(list(out)),
    Mapped: lambda out: torch.stack(list(out)),
    Closure: lambda out: out["log_prob"](torch.zeros(5, 3)),
}


@pytest.mark.parametrize("kind", USES)
def test_what_runs_later_sees_the_draw(kind):
    net = randomize(kind(), scale=0.5)
    with net.fixed(3):
        output = net(X)
    assert torch.allclose(USES[kind](output), USES[kind](net.at(3)(X)), atol=1e-6)
    assert not torch.equal(USES[kind](net(X)), USES[kind](net(X)))
    assert isinstance(net.layer.weight, nn.Parameter)


def test_an_object_that_runs_later_is_an_error_outside_a_block():
    net, y = randomize(Flow(), scale=0.5), torch.zeros(5, 3)
    with pytest.raises(UsageError, match="returns a Density"):
        net(X)
    with net.drawn(3):
        found = net(X).log_prob(y)
    assert torch.allclose(found, net.at(3)(X).log_prob(y), atol=1e-6)
    found.sum().backward()
    assert bool(net.layer.weight.grad.any())
    assert bool(net.layer.weight_rho.grad.any())


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def encode(self, x):
        return torch.tanh(self.backbone(x))

    def forward(self, x):
        return self.head(self.encode(x))

    def generate(self, x, steps):
        return torch.stack([self(x) for _ in range(steps)])

    def backbone_module(self):
        return self.backbone


def test_a_block_is_one_draw_for_everything_inside():
    net = randomize(Encoder(), scale=0.5)
    plain, parameters = net.at(7), list(net.parameters())
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with net.drawn(7):
        assert torch.equal(net(X), net(X))
        assert torch.allclose(net(X), plain(X), atol=1e-6)
        assert torch.allclose(net.encode(X), plain.encode(X), atol=1e-6)
        assert torch.allclose(net.backbone(X), plain.backbone(X), atol=1e-6)
        assert all(one is other for one, other in zip(net.parameters(), parameters, strict=True))
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
        with net.fixed(8):
            assert torch.allclose(net(X), net.at(8)(X), atol=1e-6)
        assert torch.allclose(net.draws(X, [1, 2])[1], net.at(2)(X), atol=1e-6)
        assert torch.allclose(net.head(net.encode(X)), plain(X), atol=1e-6)
    assert net.backbone.weight is parameters[0]
    with net.drawn():
        first = net(X)
    assert not torch.equal(first, net(X))


def test_generate_uses_one_draw_and_another_the_next_time():
    net = randomize(Encoder(), scale=0.5)
    before = net.stream.index
    text = net.generate(X, 4)
    assert net.stream.index == before + 1
    assert all(torch.equal(text[0], step) for step in text)
    assert not torch.equal(text, net.generate(X, 4))
    with net.fixed(5):
        assert torch.allclose(net.generate(X, 1)[0], net.at(5)(X), atol=1e-6)


def test_a_method_that_runs_no_layer_says_nothing():
    net = randomize(Encoder())
    assert net.backbone_module() is net.backbone
    net(X)


def nested():
    backbone = randomize(nn.Linear(4, 4), scale=0.5)
    return randomize(nn.Sequential(backbone, nn.Linear(4, 3)), {"0.*": "fixed", "1.*": "normal"})


def test_a_random_network_inside_another_is_reached():
    net = nested()
    mean, drawn = net.mean(), net.at(3)
    assert torch.equal(mean(X), mean(X))
    assert torch.equal(drawn(X), drawn(X))
    with net.fixed(3):
        assert torch.equal(net(X), net(X))
        assert torch.allclose(net(X), drawn(X), atol=1e-6)
    with net.drawn(3):
        assert torch.allclose(net[0](X), drawn[0](X), atol=1e-6)
    assert torch.equal(net.draws(X, [1, 2]), net.draws(X, [1, 2]))
    assert net.deterministic_parameters() == []
    assert len(net.scale_parameters()) == 4
    assert set(net.stds()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    with torch.no_grad():
        alone = randomize(mean[1])
        assert float(net.kl(0.1)) == pytest.approx(float(net[0].kl(0.1) + alone.kl(0.1)), rel=1e-5)
    assert not torch.equal(net(X), net(X))


class Featured(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))
        self.head, self.way = nn.Linear(8, 3), way

    def forward(self, x):
        self.feature = self.body(x) if self.way is None else checkpoint(self.body, x, use_reentrant=self.way)
        return self.head(self.feature)


@pytest.mark.parametrize("way", [False, True])
@pytest.mark.parametrize("feature", [False, True])
def test_checkpoints_of_features_alone_have_the_right_gradient(way, feature):
    found = []
    for used in (None, way):
        torch.manual_seed(0)
        net = randomize(Featured(used).double(), scale=0.5)
        x = X.double().requires_grad_()
        with net.fixed(1):
            output = net(x)
        (net.feature if feature else output).square().sum().backward()
        found.append([x.grad, *(parameter.grad for parameter in net.body.parameters())])
    assert all(torch.allclose(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("way", [False, True])
def test_a_checkpoint_of_the_whole_network_takes_its_key_once(way):
    torch.manual_seed(0)
    net, x = randomize(nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double(), scale=0.5), X.double().requires_grad_()
    net.stream = type(net.stream)("user", 0)
    with torch.random.fork_rng():
        checkpoint(net, x, use_reentrant=way).square().sum().backward()
    found = [x.grad.clone(), net[0].weight.grad.clone()]
    assert net.stream.index == 1
    x.grad = None
    net.zero_grad()
    with net.fixed(type(net.stream)("user", 0).next()):
        net(x).square().sum().backward()
    assert torch.allclose(found[0], x.grad)
    assert torch.allclose(found[1], net[0].weight.grad)


class Clamped(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((4, 4), 2.0))

    def forward(self, x):
        self.weight.data.clamp_(-1, 1)
        return x @ self.weight


class Assigned(Clamped):
    def forward(self, x):
        self.weight = nn.Parameter(self.weight.clamp(-5, 5))
        return x @ self.weight


def test_what_a_forward_writes_into_its_weights_is_done_to_the_means():
    net = randomize(Clamped())
    assert net(X).abs().max() < 5
    assert net.weight.max() <= 1
    assert isinstance(net.weight, nn.Parameter)
    assigned = randomize(Assigned())
    assigned(X)
    assert torch.equal(assigned.weight.detach(), torch.full((4, 4), 2.0))
    bounded = randomize(nn.Embedding(10, 4, max_norm=0.5))
    bounded(torch.arange(3))
    bounded(torch.arange(10))
    assert bounded.weight.detach().norm(dim=1).max() < 0.51
