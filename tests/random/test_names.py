"""No name of the user's module is taken: whatever it calls its own attributes, it stays the network that it was."""

import ast
import copy
import inspect
import io
import pickle
import textwrap

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import variate
from variate.errors import CheckpointError, RandomizeError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.random import ablation, fixing, measures, plain
from variate.random.average import average
from variate.random.handle import Handle
from variate.random.inspection import check
from variate.random.many import draws, input_gradient
from variate.random.network import ALIASES, RandomNetwork
from variate.random.parameters import HANDLE
from variate.random.per_example import draws_per_example
from variate.random.randomize import randomize
from variate.random.seeding import outputs_under
from variate.serving.exporting import export
from variate.serving.serving import Served
from variate.testing.slow import slow_forward
from variate.training.saved import families_of
from variate.training.train import train

EARLIER = [
    "_copied_state", "_draw", "_draws", "_found_places", "_holder", "_key", "_learn", "_learned_places", "_many",
    "_original", "_places", "_prepare", "_scaled", "_ticket", "_units", "take_key",
]  # fmt: skip
KEY = 5


def _names() -> list[str]:
    """Every name of ours, of today and of earlier: of the network, of its class, and of what stands behind it."""
    net = randomize(nn.Linear(2, 2))
    ours = {*dir(net), *vars(net.__class__), *vars(Handle), *vars(net._variate), *EARLIER, *ALIASES}
    plainly = {*dir(nn.Linear(2, 2)), "weight_rho", "bias_rho", HANDLE}
    return sorted(name for name in ours - plainly if not name.startswith("__"))


NAMES = _names()


class Attribute(nn.Module):
    """A plain value under a name, which the forward reads."""

    def __init__(self, name):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.own_name = name
        self.put(name)

    def put(self, name):
        setattr(self, name, 3.0)

    def forward(self, x):
        return self.layer(x) * getattr(self, self.own_name)


class InForward(Attribute):
    """The same, set anew at every forward."""

    def put(self, name):
        pass

    def forward(self, x):
        setattr(self, self.own_name, False)
        hidden = self.layer(x)
        setattr(self, self.own_name, hidden.detach().sum(-1, keepdim=True))
        return hidden + getattr(self, self.own_name)


class NotPutAway(Attribute):
    """The same, and a falsy value stays there."""

    def put(self, name):
        pass

    def forward(self, x):
        setattr(self, self.own_name, False)
        return self.layer(x) + 2.0 * (getattr(self, self.own_name) is False)


class Buffer(Attribute):
    def put(self, name):
        self.register_buffer(name, torch.tensor([1.0, 2.0, 3.0]))


class NoBuffer(Attribute):
    """A buffer that is registered as None."""

    def put(self, name):
        self.register_buffer(name, None)

    def forward(self, x):
        return self.layer(x) + 2.0 * (getattr(self, self.own_name) is None)


class Parameter(Attribute):
    def put(self, name):
        setattr(self, name, nn.Parameter(torch.tensor([1.0, 2.0, 3.0])))


class Submodule(Attribute):
    def put(self, name):
        setattr(self, name, nn.Linear(3, 2))

    def forward(self, x):
        return getattr(self, self.own_name)(self.layer(x))


class Method(Attribute):
    """Every name is a method."""

    def put(self, name):
        pass

    def forward(self, x):
        return getattr(self, self.own_name)(self.layer(x))


class Property(Attribute):
    """Every name is a property."""

    def put(self, name):
        pass


for _name in NAMES:
    setattr(Method, _name, lambda self, hidden: 2.0 * hidden)
    setattr(Property, _name, property(lambda self: 3.0))

KINDS = [Attribute, InForward, NotPutAway, Buffer, NoBuffer, Parameter, Submodule, Method, Property]
X = torch.rand(6, 4, generator=torch.Generator().manual_seed(1))


def saved_and_loaded(net):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = randomize(plain.mean(net))
    other.load_state_dict(torch.load(file))
    return other


COPIERS = [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), saved_and_loaded]


def conform(kind: type[nn.Module], name: str) -> None:
    """Raise ``AssertionError`` where a module with a name of its own is not what it was once it is random."""
    torch.manual_seed(0)
    module = kind(name)
    expected = module(X).detach()
    still, net = randomize(module, scale=1e-6), randomize(module, scale=0.5)
    assert torch.allclose(still(X), expected, atol=1e-3), "it computes something else"
    assert torch.allclose(still(X), expected, atol=1e-3), "it computes something else in the second call"
    with fixing.fixed(net, KEY):
        one = net(X)
        assert torch.equal(net(X), one), "its draw is not fixed"
    assert not torch.equal(net(X), net(X)), "it is not random"
    assert torch.allclose(slow_forward(net, KEY, X), one, atol=1e-4), "its draw is another one"
    for copier in COPIERS:
        copied = copier(net)
        with fixing.fixed(copied, KEY):
            assert torch.allclose(copied(X), one, atol=1e-5), "a copy computes something else"
    for twin, output in ((plain.mean(net), expected), (plain.at(net, KEY), one)):
        assert type(twin) is kind
        assert torch.allclose(twin(X), output, atol=1e-5), "an ordinary module of it computes something else"
    with fixing.fixed(net, KEY):
        net(X).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters()), "it does not learn"
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert check(module).findings == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_of_the_users_module_keeps_its_meaning(kind):
    wrong = {}
    for name in NAMES:
        try:
            conform(kind, name)
        except Exception as error:
            wrong[name] = repr(error)
    assert wrong == {}
    assert {*EARLIER, *ALIASES, "mean", "learn"} <= set(NAMES)


class Crowded(nn.Module):
    """A classifier with every name of ours, each a buffer that the forward uses."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 3)
        for name in NAMES:
            self.register_buffer(name, torch.tensor(1.0))

    def forward(self, x):
        return self.layer(x.flatten(1)) * torch.stack([getattr(self, name) for name in NAMES]).prod()


def crowded(scale: float = 0.5) -> RandomNetwork:
    torch.manual_seed(0)
    return randomize(Crowded(), scale=scale).eval()


def spare(scale: float = 0.5) -> RandomNetwork:
    """The same network without the names."""
    torch.manual_seed(0)
    net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), scale=scale).eval()
    names = {"layer.weight": "1.weight", "layer.bias": "1.bias"}
    assert {name for name in crowded(scale).state_dict() if name in names} == set(names)
    return net


def test_functions_take_a_network_that_has_all_their_names(x):
    net = crowded()
    assert {name for name in ALIASES if name in vars(type(net))} == set()
    keys = [1, 2, 3, 4, 5]  # enough for a group
    with torch.no_grad():
        by_hand = torch.stack([plain.at(net, key)(x) for key in keys])
        for way in (draws(net, x, keys), outputs_under(net, x, keys)):
            assert torch.allclose(way, by_hand, atol=1e-5)
        assert torch.allclose(average(net, keys, "outputs")(x), by_hand.mean(0), atol=1e-5)
    assert input_gradient(net, x, lambda out: out[:, 0], keys).gradient.shape == x.shape
    assert draws_per_example(net, x, 1).shape == (5, 3)
    assert families_of(net) == {site.name: "normal" for site in measures.sites(net)}
    assert measures.stds(net).keys() == measures.sizes(net).keys() == families_of(net).keys()
    assert torch.isfinite(measures.kl(net, 1.0) + measures.entropy(net))
    assert measures.differs(net, 1, 2)
    assert measures.deterministic_parameters(net) == []
    only = ablation.with_noise_in(net, ["layer.weight"])
    assert [site.name for site in measures.sites(only)] == ["layer.weight"]
    assert Served(net, 3)(x).shape == (5, 3)
    assert type(plain.unwrap(net)) is Crowded


def test_a_network_that_has_all_our_names_is_trained_attacked_and_exported(x, y, tmp_path):
    net = crowded()
    for objective in ("cross-entropy+kl+snr", "elbo", "adversarial+entropy"):
        history = train(net, [(x, y)], objective=objective, epochs=1, budget="linf:0.1", attack_steps=2)
        assert len(history.losses) == 1
    result = evaluate(net, x, y, budget="linf:0.1", attacks=["pgd", "transfer"], draws=2, verdict_draws=32)
    assert {row.attack for row in result.rows} == {"clean", "pgd", "transfer"}
    for options in ({"mean": True}, {"key": 3}):
        export(net, tmp_path / "network.pt2", x, format="torch-export", **options)


def test_answers_do_not_depend_on_names(x, y):
    """The same weights under other names of the module's own are judged alike, attack by attack."""
    rates = []
    for net in (crowded(1e-6), spare(1e-6)):
        result = evaluate(net, x, y, budget="linf:0.3", attacks=["fgsm"], draws=2, verdict_draws=32)
        rates.append({(row.attack, row.deployment): row.rate for row in result.rows})
    assert rates[0] == rates[1]


def test_every_method_is_a_function_too_and_stands_where_its_name_is_free():
    net = randomize(nn.Linear(2, 2))
    for name in ALIASES:
        assert hasattr(net, name)
        assert name in variate.__all__
        assert callable(getattr(variate, name))
    assert variate.sites(net) == net.sites
    assert variate.stream(net) is net.stream
    assert torch.equal(variate.mean(net).weight, net.mean().weight)


def test_methods_are_declared_for_type_checkers():
    body = ast.parse(textwrap.dedent(inspect.getsource(RandomNetwork))).body[0].body
    (declared,) = [part for part in body if isinstance(part, ast.If)]
    targets = [part.target if isinstance(part, ast.AnnAssign) else part.targets[0] for part in declared.body]
    assert {target.id for target in targets} == set(ALIASES)


def test_only_the_names_that_are_taken_are_left_out():
    module = nn.Linear(2, 2)
    module.register_buffer("mean", torch.ones(2))
    net = randomize(module)
    assert set(ALIASES) - {name for name in ALIASES if name in vars(type(net))} == {"mean"}
    assert torch.equal(net.mean, torch.ones(2))
    assert torch.equal(copy.deepcopy(net).mean, torch.ones(2))
    assert isinstance(net.at(1), nn.Linear)


def test_a_stream_that_is_assigned_is_used_and_anything_else_is_the_users():
    net = randomize(nn.Linear(2, 2))
    net.stream = stream = variate.Stream("user", 3)
    assert variate.stream(net) is stream
    net.stream = "mine"
    assert net.stream == "mine"
    assert variate.stream(net) is stream
    del net.stream
    assert net.stream is stream
    with pytest.raises(AttributeError):
        del net.stream


class Overwriting(nn.Linear):
    def forward(self, x):
        self._variate = 3
        return super().forward(x)


@pytest.mark.parametrize("function", [plain.mean, plain.unwrap, measures.sites, measures.stds, fixing.stream])
def test_what_is_no_random_network_is_refused_by_name(function):
    with pytest.raises(UsageError, match="Linear is not a random network"):
        function(nn.Linear(2, 2))


def test_the_one_attribute_of_ours_is_not_written_over_silently():
    net = randomize(Overwriting(2, 2))
    net(torch.ones(1, 2))
    with pytest.raises(RandomizeError, match="has set _variate"):
        net(torch.ones(1, 2))


def test_a_pickle_of_another_version_is_refused_with_a_sentence():
    net = randomize(nn.Linear(2, 2))
    earlier = {**vars(nn.Linear(2, 2)), "sites": net.sites, "stream": net.stream, "_key": None, "_learn": True}
    with pytest.raises(CheckpointError, match=r"another version of Variate"):
        type(net).__new__(type(net)).__setstate__(earlier)


class Guarded(nn.Linear):
    """With pickling of its own."""

    def __getstate__(self):
        return {"everything": {name: value for name, value in vars(self).items() if name != "cache"}}

    def __setstate__(self, state):
        super().__setstate__(state["everything"])
        self.cache = "made anew"


def test_pickling_of_the_users_own_is_kept():
    net = randomize(Guarded(2, 2))
    net.cache = lambda: None  # cannot be pickled
    loaded = pickle.loads(pickle.dumps(net))
    assert loaded.cache == "made anew"
    with fixing.fixed(net, KEY), fixing.fixed(loaded, KEY):
        assert torch.equal(net(torch.ones(1, 2)), loaded(torch.ones(1, 2)))


def test_a_network_learns_where_its_forward_says_otherwise():
    """``self._learn = False`` in a forward once made the whole network 0."""

    class Telling(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            self._learn = False
            return self.layer(x)

    module = Telling()
    net = randomize(module, scale=1e-6)
    for _ in range(2):
        loss = F.mse_loss(net(X), torch.ones(6, 3))
        assert loss.requires_grad
        assert torch.allclose(loss, F.mse_loss(module(X), torch.ones(6, 3)), atol=1e-3)
