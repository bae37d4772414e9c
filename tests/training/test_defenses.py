"""Every defense conforms, trains from the command's own function, and works on networks that are not ours."""

import copy

import pytest
import torch
from torch import nn

from variate import registry
from variate.errors import UsageError
from variate.evaluation.diagnostics import doubt
from variate.models.resnet18 import ResNet18
from variate.random.keys import Stream
from variate.random.seeding import outputs_under
from variate.records.file import Records
from variate.testing.defenses import check_defense
from variate.training.cell import Cell
from variate.training.defense import defended, teacher_of
from variate.training.defenses.parts.surgery import layers, layers_after_first, replaced, seeded_by
from variate.training.noise_layers import Surrounded
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell
from variate.training.saved import load, read_card
from variate.training.wiring import wire

NAMES = list(registry.entries("defenses"))
RANDOM = [name for name, entry in registry.entries("defenses").items() if entry.facts["random"]]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("name", NAMES)
def test_conformance(name):
    check_defense(name)


class Around(nn.Module):
    """A network with something about it, for a defense that is broken."""

    def __init__(self, network):
        super().__init__()
        self.network, self.noise = network, None
        if type(self) is Idle:
            self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.network(x)


class Idle(Around):
    pass


class PerExample(Around):
    def forward(self, x):
        return self.network(x + torch.randn_like(x))


class Frozen(Around):
    def forward(self, x):
        self.noise = torch.randn_like(x[:1]) if self.noise is None else self.noise
        return self.network(x + 0.1 * self.noise)


class Single(Around):
    def forward(self, x):
        return self.network(x).float()


class Stuck(Around):
    def forward(self, x):
        outputs = self.network(x)
        return outputs.detach() + 1e-12 * (outputs - outputs.detach())


class Forgotten(Around):
    def forward(self, x):
        self.noise = torch.ones(()) if self.training else self.noise
        return self.network(x if self.noise is None else x + self.noise)


def plainly(around):
    return lambda network: (around(network), "cross-entropy")


def with_option(network, *, layers=()):
    return network, "cross-entropy"


BROKEN = {
    "not random": ("rse", plainly(Around), "deterministic in eval mode"),
    "secretly random": ("deterministic", plainly(PerExample), "keyed in eval mode"),
    "another draw for every place": ("rse", plainly(PerExample), "alone and within a batch"),
    "one draw for ever": ("rse", plainly(Frozen), "draws under different keys are identical"),
    "not saved": ("deterministic", plainly(Forgotten), "after loading"),
    "no attack": ("at", plainly(Around), "fact `adversarial`"),
    "no teacher": ("distillation", plainly(Around), "fact `teacher`"),
    "unused parameter": ("deterministic", plainly(Idle), "no gradient reaches unused"),
    "learns nothing": ("deterministic", plainly(Stuck), "one epoch changes the loss"),
    "single precision": ("deterministic", plainly(Single), "in double precision"),
    "option that is no text": ("deterministic", with_option, "option layers"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_conformance_suite_finds_what_is_broken(case, monkeypatch):
    name, function, finding = BROKEN[case]
    real = registry.Entry.load
    broken = ("defenses", name)
    monkeypatch.setattr(registry.Entry, "load", lambda e: function if (e.kind, e.name) == broken else real(e))
    with pytest.raises(AssertionError, match=finding):
        check_defense(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_trains_and_loads(name, tmp_path):
    network = "lenet" if name in ("rse", "learn2perturb") else "mlp"
    cell = Cell(
        data="digits", network=network, defense=name, recipe=Recipe(epochs=1, attack_steps=1, accelerator="cpu")
    )
    card = train_cell(cell, tmp_path / "cell")
    loaded = load(tmp_path / "cell")
    x, _ = cell.split("test")
    one, two = (outputs_under(net, x[:4], [1, 2]) for net in (loaded, load(tmp_path / "cell")))
    assert torch.equal(one, two)
    assert card.defense == name
    if teacher_of(name):
        lesson = read_card(tmp_path / "cell" / "teacher")
        assert (lesson.defense, lesson.objective) == ("deterministic", teacher_of(name))
    again = train_cell(cell, tmp_path / "again")
    assert again.fingerprint == card.fingerprint  # whatever a defense draws at the start comes from the cell's seed


@pytest.mark.parametrize("name", NAMES)
def test_it_works_on_a_residual_network_in_both_modes(name):
    network, _ = defended(name, ResNet18((1, 8, 8), 10, width=4), shape=(1, 8, 8))
    x = torch.rand(10, 1, 8, 8)
    assert network.train()(x).shape == (10, 10)
    assert network(x[:5]).shape == (5, 10)
    network.eval()
    assert outputs_under(network, x[:1], [1]).isfinite().all()
    assert (name in RANDOM) != torch.equal(*outputs_under(network, x, [1, 2]))


@pytest.mark.parametrize(
    "text", ["rse(first=0)", "smoothing(sigma=-1)", "dropout(rate=1)", "sap(ratio=0)", "ensemble(members=1)"]
)
def test_an_option_out_of_range_is_a_usage_error(text):
    with pytest.raises(UsageError, match="expected"):
        defended(text, ResNet18((1, 8, 8), 10, width=4), shape=(1, 8, 8))


@pytest.mark.parametrize("name", ["rse", "learn2perturb", "pni", "wca", "sap", "dropout"])
def test_a_network_without_layers_to_act_on_is_a_usage_error(name):
    with pytest.raises(UsageError, match=r"has no (suitable layer|hidden activations)"):
        defended(name, nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16)), shape=(1, 4, 4))


def test_one_step_is_one_step():
    counted = {}
    for name in ("fast-at", "at"):
        network, objective = defended(name, nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), shape=(1, 4, 4))
        loss = wire(Recipe(objective, budget="linf:0.1", attack_steps=5), network, Stream("train", 0))
        x, y, calls = torch.rand(4, 1, 4, 4), torch.arange(4) % 3, []
        loss(network, x, y)  # the first also finds out whether the network is random
        network.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        loss(network, x.clone(), y)
        counted[name] = len(calls)
    assert counted == {"fast-at": 2, "at": 6}


def test_what_has_no_mean_network_is_doubted_without_a_transfer(tmp_path):
    network, _ = defended("smoothing", nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    records = Records(tmp_path / "records.jsonl")
    x, y = torch.rand(2, 1, 4, 4), torch.arange(2)
    asked = {"budget": "linf:0.1", "records": records, "name": "n", "examples": 2, "draws": 2, "steps": 1}
    doubt(network.eval(), x, y, **asked, source={}, verdict_draws=2)
    attacks = {claim.attack for claim in records.claims.values()}
    assert {"pgd", "square"} <= attacks
    assert "transfer" not in attacks


class Tied(nn.Module):
    """One layer under two names, and an attention that reads its layers' weights without calling them."""

    def __init__(self):
        super().__init__()
        self.flat = nn.Flatten()
        self.first = nn.Linear(16, 16)
        self.again = self.first
        self.attention = nn.MultiheadAttention(16, 2)
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = self.again(self.first(self.flat(x)).relu())  # (B, 16)
        x = self.attention(x, x, x)[0].view(-1, self.last.in_features)
        return self.last(x)


def test_layers_that_stand_in_two_places_are_replaced_in_both():
    network = Tied()
    first = network.first
    assert layers(network, nn.Linear) == [first, network.last]
    assert layers_after_first(network, nn.Linear) == [network.last]
    found = replaced(network, {layer: Surrounded(layer, front=nn.Identity()) for layer in layers(network, nn.Linear)})
    assert found is network
    assert network.first is network.again
    assert network.first.layer is first
    copied = copy.deepcopy(network)
    assert copied.first is copied.again
    assert copied.first.layer is not first
    assert copied(torch.rand(2, 1, 4, 4)).shape == (2, 3)


def test_a_surrounded_layer_answers_for_its_layer():
    layer = nn.Linear(4, 2)
    around = Surrounded(layer, front=nn.Tanh(), behind=nn.Sigmoid())
    assert (around.in_features, around.weight) == (4, layer.weight)
    x = torch.rand(3, 4)
    assert torch.equal(around(x), layer(x.tanh()).sigmoid())
    with pytest.raises(AttributeError):
        _ = around.nothing


def test_a_network_that_is_one_layer_is_replaced_itself():
    layer = nn.Linear(4, 2)
    around = Surrounded(layer)
    assert replaced(layer, {layer: around}) is around


def test_what_a_defense_draws_depends_on_the_network_alone():
    network, other = nn.Linear(3, 3), nn.Linear(3, 3)
    state = torch.get_rng_state()
    draws = []
    for seed in (network, network, other):
        torch.rand(5)
        with seeded_by(seed):
            draws.append(torch.rand(4))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    torch.set_rng_state(state)
    with seeded_by(network):
        torch.rand(4)
    assert torch.equal(torch.get_rng_state(), state)
