"""An attack answers the same for logits in any unit and for networks in any type of numbers."""

from functools import partial

import pytest
import torch
from torch import nn

from variate import registry
from variate.evaluation.plan import Plan, Target, perturb
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.inputs.modalities.text import Text
from variate.inputs.words import Tokens, inputs_of
from variate.random.randomize import randomize
from variate.random.seeding import kind_of, outputs_under

SIZES = {"linf": "linf:0.2", "l2": "l2:0.6", "l1": "l1:2.5", "l0": "l0:11", "words": "words:2"}
FEWER = {
    "cw": {"steps": 30, "searches": 3, "step_size": 0.03, "constant": 0.1},
    "apgd-ce": {"steps": 20},
    "ddn": {"steps": 40},
    "fmn": {"steps": 40},
}
BREAKABLE = 4  # of the 8 examples: the margin of the others is twice as wide
OWN = {name: entry for name, entry in registry.entries("attacks").items() if not entry.facts["variants"]}


class Plane(nn.Module):
    """Two classes, times ``unit``; ``masked`` adds two classes that it rules out."""

    def __init__(self, unit=1.0, masked=False):
        super().__init__()
        self.unit, self.masked, self.head = unit, masked, nn.Linear(16, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[1.0], [-1.0]]).repeat(1, 16) / 4)
            self.head.bias.copy_(torch.tensor([-2.0, 2.0]))

    def forward(self, x):
        logits = self.head(x.flatten(1)) * self.unit
        return torch.cat([logits, torch.full_like(logits, -torch.inf)], 1) if self.masked else logits


class Words(nn.Module):
    """Two classes of texts: word 2 speaks for one and word 3 for the other."""

    def __init__(self, unit=1.0, masked=False):
        super().__init__()
        self.unit, self.masked, self.tokens = unit, masked, Tokens(4, 2)
        with torch.no_grad():
            self.tokens.embedding.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, x):
        logits = self.tokens(x)[0].mean(1) * self.unit
        return torch.cat([logits, torch.full_like(logits, -torch.inf)], 1) if self.masked else logits


def settings(name):
    """A budget, inputs with labels, a modality and a class of networks that an attack works on."""
    facts = OWN[name].facts
    norm = next(norm for norm in SIZES if norm in facts["norms"])
    y = torch.arange(8) % 2
    if norm == "words":
        share = torch.tensor(
            [2] * 4 + [3] * 4
        )  # of the four words those that speak for the label, and one that does not
        ids = torch.stack([torch.where(torch.arange(4) < n, 2 + label, 1) for n, label in zip(share, y, strict=True)])
        return Budget.parse("words:2"), inputs_of(ids), y, Text(("", "?", "a", "b"), [[], [], [3], [2]]), Words
    away = torch.where(torch.arange(8) < BREAKABLE, 0.1, 0.4)  # the plane is where the mean is 1/2
    noise = 0.02 * torch.rand(8, 16, generator=torch.Generator().manual_seed(0))
    x = 0.5 + torch.where(y == 0, away, -away)[:, None] + noise - noise.mean(1, keepdim=True)
    return Budget.parse(SIZES[norm]), x.view(8, 1, 4, 4), y, Image(), Plane


def left(name, make, x, y, budget, modality):
    """Which examples an attack leaves right."""
    torch.manual_seed(0)
    network = make().eval()
    kind = kind_of(network, x)
    options = dict(OWN[name].facts["quick"]) | FEWER.get(name, {})
    perturbed, _ = perturb(Target(network, kind, modality=modality), Plan(name, 1, options), budget, x, y)
    assert perturbed.dtype == x.dtype
    if OWN[name].facts["minimal"]:  # it ends at the boundary, where rounding decides
        perturbed = (x + 1.05 * (perturbed - x)).clamp(0, 1)
    answers = outputs_under(network, perturbed, range(16 if kind == "keyed" else 1)).argmax(-1)
    return (answers == y).float().mean(0)


@pytest.fixture(scope="module")
def usual():
    """What each attack leaves of the plain network, computed once."""
    kept = {}

    def of(name):
        if name not in kept:
            budget, x, y, modality, network = settings(name)
            x = x if budget.norm == "words" else modality.prepared(x, budget, network())
            kept[name] = (budget, x, y, modality, network), left(name, network, x, y, budget, modality)
        return kept[name]

    return of


@pytest.mark.parametrize("name", OWN)
def test_the_unit_of_the_logits_does_not_matter(usual, name):
    (budget, x, y, modality, network), expected = usual(name)
    for unit in (1e-30, 1e-12, 1e3, 1e30):
        assert torch.equal(left(name, partial(network, unit), x, y, budget, modality), expected), unit


@pytest.mark.parametrize("name", OWN)
def test_classes_that_are_ruled_out_do_not_matter(usual, name):
    (budget, x, y, modality, network), expected = usual(name)
    assert torch.equal(left(name, partial(network, masked=True), x, y, budget, modality), expected)


def typed(network, dtype):
    return network().to(dtype)


@pytest.mark.parametrize("name", OWN)
def test_the_type_of_the_network_does_not_matter(usual, name):
    (budget, x, y, modality, network), expected = usual(name)
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        assert torch.equal(left(name, partial(typed, network, dtype), x, y, budget, modality), expected), dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(left(name, network, x, y, budget, modality), expected), "autocast"


def test_the_attacks_break_what_can_be_broken(usual):
    breaks = {name: bool(1 - usual(name)[1][:BREAKABLE].amax()) for name in OWN if "steps" in OWN[name].facts["quick"]}
    assert all(breaks.values()), breaks


@pytest.mark.parametrize("name", ["pgd", "apgd-ce", "fmn", "cw", "square", "nes"])
def test_neither_matters_on_a_random_network(name):
    budget, x, y, modality, network = settings(name)

    def rate(unit, dtype=torch.float32):
        make = lambda: randomize(network(unit).to(dtype), scale=0.05)  # noqa: E731
        return float(left(name, make, x, y, budget, modality).mean())

    expected = rate(1.0)
    for unit in (1e-30, 1e3, 1e25):
        assert abs(rate(unit) - expected) < 0.05, unit
    assert abs(rate(1.0, torch.bfloat16) - expected) < 0.05
