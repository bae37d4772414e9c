"""Reaches: what may not be touched is not, units count, and every attack serves inputs that are no images."""

from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from torch import nn

from variate import registry
from variate.errors import InputError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, Target, perturb
from variate.inputs.budget import Budget
from variate.inputs.modalities.image import Image
from variate.inputs.modality import Modality, Reach, modality_of, name_of
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.testing.modalities import check_modality

FREE = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 4.0, 1.0, 1.0])  # two values that may not be touched, one in other units
STEP = 0.05  # of the last two


@dataclass(frozen=True)
class Measurements(Modality):
    """Eight measurements, of which two are given, and two are counts."""

    def reach(self, x, budget):
        self.check(budget)
        return Reach(x, budget, unit=2.0, scale=FREE.to(x)[None], settle=self._settled)

    def _settled(self, inputs, x):
        steps = ((inputs - x) / STEP + 1e-4 * (inputs - x).sign()).trunc()
        return torch.cat([inputs[:, :6], (x + STEP * steps)[:, 6:]], 1)


Measurements.__module__ = Image.__module__  # attacks on images serve it
Measurements.__variate__ = {"norms": ("linf", "l2", "l1", "l0")}


@pytest.fixture
def toy():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    x = torch.rand(6, 8)
    x[:, 6:] = (x[:, 6:] / STEP).round() * STEP
    return network, x, network(x).argmax(1)


OURS = [
    n for n, e in registry.entries("attacks").items() if n not in ("foolbox", "art") and "image" in e.facts["modality"]
]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("random", [False, True])
def test_every_attack_keeps_to_what_may_be_touched(toy, name, random):
    network, x, y = toy
    net = randomize(network, scale=0.1) if random else network
    norms = registry.get("attacks", name).facts["norms"]
    sizes = {"linf": "0.1", "l2": "0.3", "l1": "0.5", "l0": "3"}
    check_modality(Measurements(), net, x, y, [f"{norm}:{sizes[norm]}" for norm in norms], attacks=[name])


def test_a_value_in_other_units_goes_as_much_farther():
    target = Target(nn.Linear(8, 2), "deterministic", modality=Measurements())
    x = torch.full((1, 8), 0.5)
    perturbed, _ = perturb(target, Plan("pgd", 1, {"steps": 40}), Budget.parse("linf:0.05"), x, torch.tensor([0]))
    moved = (perturbed - x).abs()[0]
    expected = torch.tensor([0.0, 0.0, 0.05, 0.05, 0.1, 0.2, 0.05, 0.05])
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)
    assert float(Measurements().reach(x, Budget.parse("linf:0.05")).distance(perturbed)) == pytest.approx(0.1, rel=1e-4)


def test_the_gradient_of_the_oracle_is_that_of_the_points(toy):
    network, x, y = toy
    reach = Reach(x, Budget.parse("l2:1"), scale=FREE[None])
    oracle = GradientOracle(network, stream=Stream("search", 0), examples=len(x), reach=reach, kind="deterministic")
    leaf = x.clone().requires_grad_(True)
    nn.functional.cross_entropy(network((x + FREE * (leaf - x)).clamp(0, 1)), y, reduction="sum").backward()
    _, gradient = oracle.gradient(x, y)
    torch.testing.assert_close(gradient, leaf.grad)
    rows = torch.tensor([3, 3, 1])
    _, some = oracle.gradient(x[rows], y[rows], rows=rows)
    torch.testing.assert_close(some, leaf.grad[rows])


def test_what_leaves_the_reach_is_not_contained(toy):
    _, x, _ = toy
    reach = Measurements().reach(x.clamp(0.2, 0.7), Budget.parse("linf:0.1"))
    for place, step in ((0, 1e-3), (2, 0.11), (4, 0.21), (6, STEP / 2)):
        moved = reach.x.clone()
        moved[0, place] += step
        assert reach.contains(moved).tolist() == [False] + [True] * 5, place
    assert bool(reach.contains(reach.x + 0).all())


def test_an_image_is_its_own_point(toy):
    _, x, _ = toy
    assert Image().reach(x, Budget.parse("l2:1")).plain
    assert name_of(Image()) == "image"
    assert modality_of("image", {"rate": 8000}) == Image()


def test_a_budget_without_meaning_is_refused(toy):
    network, x, y = toy
    with pytest.raises(UsageError, match="does not apply to image inputs"):
        evaluate(network, x, y, budget="words:3")
    with pytest.raises(UsageError, match="no modality named 'imag'"):
        evaluate(network, x, y, budget="linf:0.1", modality="imag")


def test_findings_of_a_modality_stop_an_evaluation(toy):
    class Picky(Image):
        def findings(self, x):
            yield "the first example is empty"

    Picky.__module__ = Image.__module__
    network, x, y = toy
    with pytest.raises(InputError, match="not valid image inputs") as error:
        evaluate(network, x, y, budget="linf:0.1", modality=Picky())
    assert list(error.value.findings) == ["the first example is empty"]


@pytest.mark.parametrize(
    ("text", "factor", "expected"),
    [
        ("linf:8/255", Fraction(2), "linf:16/255"),
        ("l0:5", Fraction(1, 2), "l0:2"),
        ("snr:20dB", Fraction(10), "snr:0.0000dB"),
        ("words:3", Fraction(2), "words:6"),
    ],
)
def test_a_budget_is_scaled_in_its_own_norm(text, factor, expected):
    assert str(Budget.parse(text).scaled(factor)) == expected


def test_a_budget_of_features_keeps_what_was_written():
    budget = Budget.parse("features:age=2,income per year=5%,*=1%")
    assert budget.features == (("age", "2"), ("income per year", "5%"), ("*", "1%"))
    twice = budget.scaled(2)
    assert (twice.features, twice.size) == (budget.features, 2)
    assert Budget.parse(twice.text) == twice


@pytest.mark.parametrize("text", ["snr:loud", "words:1.5", "features:age", "features:=2", "features:age=-1"])
def test_a_budget_that_is_none_is_explained(text):
    with pytest.raises(UsageError):
        Budget.parse(text)
