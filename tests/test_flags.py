"""Red flags: each is raised by a network that was built to raise it, and none by an ordinary one."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate import registry
from variate.doubts import doubt
from variate.evaluation import evaluate
from variate.evidence import DOUBTS, Evidence
from variate.flags.unbounded_survives import UNBOUNDED
from variate.lines import Claim, Convergence, Example, Network, Run
from variate.raised import raised
from variate.randomization import randomize
from variate.record import Records, pack
from variate.report.flag_pages import flag_index, flag_page
from variate.testing.coin import Coin

NAME = "network"
BUDGET = "linf:0.15"


@pytest.fixture(scope="module")
def data():
    x, y = registry.get("datasets", "digits").load()("train")
    return x, y


@pytest.fixture(scope="module")
def ordinary(data):
    """A small network, trained for a few seconds."""
    x, y = data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
        for _ in range(15):
            for rows in torch.randperm(len(x)).split(100):
                optimizer.zero_grad()
                F.cross_entropy(network(x[rows]), y[rows]).backward()
                optimizer.step()
    return network.eval()


class Quantized(nn.Module):
    """Rounds its input: the gradient is zero almost everywhere."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network((x * 8).round() / 8)


class Detached(Quantized):
    """Its output does not depend on the input as far as autograd can tell."""

    def forward(self, x):
        return self.network(x.detach())


class Stairs(Quantized):
    """Rounds its input, and pretends with a gradient of its own that leads nowhere."""

    def forward(self, x):
        wrong = (x - x.detach()) * torch.linspace(-1, 1, x[0].numel()).view(x.shape[1:])
        return self.network((x.detach() * 8).round() / 8 + wrong)


def flags_of(network, data, *, attacks=(), steps=20, budget=BUDGET, draws=5, **options):
    x, y = data[0][:48], data[1][:48]
    records = Records()
    common = {"budget": budget, "records": records, "name": NAME}
    if attacks:
        evaluate(network, x, y, attacks=attacks, deployments=["single"], draws=draws, **common, **options)
    doubt(network, x, y, draws=draws, steps=steps, verdict_draws=40, **common)
    return {flag.flag: flag for flag in raised(records)}, records


def test_an_ordinary_network_raises_nothing_but_that_it_is_not_random(ordinary, data):
    found, _ = flags_of(ordinary, data, attacks=[{"name": "pgd", "steps": 40}])
    assert {name: flag.findings for name, flag in found.items() if flag.level == "warning"} == {}
    assert set(found) == {"not-random"}


def test_its_random_version_raises_nothing(ordinary, data):
    found, _ = flags_of(randomize(ordinary, scale=0.1), data, attacks=[{"name": "pgd", "steps": 20}])
    assert {name: flag.findings for name, flag in found.items()} == {}


@pytest.mark.parametrize("kind", [Quantized, Detached])
def test_a_gradient_that_is_zero(kind, ordinary, data):
    found, records = flags_of(kind(ordinary), data)
    assert "zero-gradients" in found
    assert "100%" in found["zero-gradients"].findings[0]
    assert all(claim.attack not in ("fgsm", "pgd") for claim in records.claims.values())  # they would only stand still


def test_a_saturated_network(ordinary, data):
    class Saturated(Quantized):
        def forward(self, x):
            return torch.sigmoid(1e4 * self.network(x))

    found, _ = flags_of(Saturated(ordinary), data)
    assert "zero-gradients" in found


def test_a_gradient_that_leads_nowhere(ordinary, data):
    found, _ = flags_of(Stairs(ordinary), data)
    assert {"unbounded-survives", "black-box-stronger"} & set(found)
    assert "unbounded-survives" in found


def test_a_gradient_that_is_noise(ordinary, data):
    class Noisy(Quantized):
        def forward(self, x):
            astray = ((x - x.detach()) * torch.randn_like(x)).flatten(1).sum(1, keepdim=True)
            return self.network(x) + 1e-3 * torch.randn(10) + 300 * astray * torch.linspace(-1, 1, 10)

    found, _ = flags_of(Noisy(ordinary), data)
    assert "noisy-gradients" in found
    assert "zero-gradients" not in found


def test_an_error_that_no_input_changes(data):
    found, _ = flags_of(Coin(0.1, classes=10), (data[0], torch.zeros(len(data[0]), dtype=torch.long)))
    assert "unbounded-survives" in found


def test_an_attack_that_was_stopped_too_early(ordinary, data):
    tiny = {"name": "pgd", "steps": 15, "step_size": 0.002, "random_start": False}
    found, _ = flags_of(ordinary, data, attacks=[tiny])
    assert "unfinished-attack" in found
    assert "still moved" in found["unfinished-attack"].findings[0]


def made(rates, *, draws=60, examples=100, network=NAME, random=True, **changes):
    """Records written by hand: for each (attack, part, budget, options) the number of right examples."""
    records = Records()
    for (attack, part, budget, options), right in rates:
        claim = Claim(
            network=network, fingerprint="f", inputs="i", attack=attack, options=options, budget=budget, draws=5,
            verdict_draws=draws if random else 1, deployments=["single"], seed=0, part=part,
        )  # fmt: skip
        lines = [
            Example(
                claim=claim.id, example=i, label=0, distance=0.0, forwards=1, backwards=1,
                answers={"single": pack([i < right or (random and s == 0 and i == right) for s in range(max(draws, 1))])
                         if random else pack([i < right])},
            )
            for i in range(examples)
        ]  # fmt: skip
        records.add([claim, *lines])
    return records


def names(records):
    return {flag.flag for flag in raised(records)} - {"not-random"}


PGD = ("pgd", DOUBTS, "linf:0.1", {"steps": 20})


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize(
    ("other", "flag"),
    [
        (("fgsm", DOUBTS, "linf:0.1", {}), "one-step-stronger"),
        (("noise", DOUBTS, "linf:0.1", {}), "black-box-stronger"),
        (("transfer", DOUBTS, "linf:0.1", {}), "black-box-stronger"),
        (("pgd", DOUBTS, "linf:0.05", {"steps": 20}), "larger-budget-weaker"),
        (("pgd", DOUBTS, "linf:0.1", {"steps": 40}), "unfinished-attack"),
    ],
)
def test_what_should_not_be_lower_raises_its_flag_and_equals_do_not(other, flag, random):
    assert flag in names(made([(PGD, 60), (other, 40)], random=random))
    assert flag not in names(made([(PGD, 60), (other, 60)], random=random))
    assert flag not in names(made([(PGD, 60), (other, 59)], random=random))  # one of a hundred is chance


@pytest.mark.parametrize(("left", "is_raised"), [(30, True), (0, False)])
def test_an_unbounded_attack_must_break_everything(left, is_raised):
    found = names(made([(("pgd", UNBOUNDED, "linf:1", {"steps": 40}), left)], random=False))
    assert ("unbounded-survives" in found) == is_raised


@pytest.mark.parametrize(("budget", "data", "is_raised"), [
    ("linf:8/255", "cifar10", True), ("linf:8/255", "digits", False), ("linf:4/255", "cifar10", False),
])  # fmt: skip
def test_a_claim_above_what_was_published(budget, data, is_raised):
    records = made([(("pgd", "table", budget, {}), 95)])
    run = {"command": "c", "date": "d", "machine": "m", "versions": {}, "seed": 0, "shape": [3], "examples": 1}
    records.add([Run(**run, data=data, title="t")])
    assert ("above-published" in names(records)) == is_raised


@pytest.mark.parametrize("flat", [True, False])
def test_draws_that_have_not_converged(flat):
    records = made([(PGD, 60)])
    line = {"network": NAME, "fingerprint": "f", "inputs": "i", "attack": "apgd-ce", "budget": "linf:0.1", "seed": 0}
    records.add([Convergence(**line, examples=64, draws=[5, 10], accuracy=[0.6, 0.5], chosen=10, flat=flat)])
    assert ("draws-not-converged" in names(records)) != flat


def test_a_network_that_was_made_random_and_is_not():
    records = made([(PGD, 60)], random=False)
    facts = {"architecture": "a", "defense": "random", "objective": "o", "parameters": 1, "epochs": 1, "seed": 0}
    records.add([Network(network=NAME, random=True, fingerprint="f", training={}, validation=None, seconds=1, **facts)])
    (flag,) = [flag for flag in raised(records) if flag.flag == "not-random"]
    assert "although it was made random" in flag.findings[0]


def test_aimed_attacks_are_not_compared_with_others():
    records = made([(PGD, 60), (("fgsm", DOUBTS, "linf:0.1", {"target": "next"}), 10)])
    assert names(records) == set()
    assert len(Evidence(records, NAME).claims) == 1


def test_doubts_are_measured_once(ordinary, data, tmp_path):
    x, y = data[0][:8], data[1][:8]
    path = tmp_path / "records.jsonl"
    for _ in range(2):
        doubt(ordinary, x, y, budget=BUDGET, records=Records(path), name=NAME, steps=3)
        size = path.stat().st_size
    assert path.stat().st_size == size
    assert len(Records(path).gradients) == 8


@pytest.mark.parametrize("name", registry.entries("flags"))
def test_every_flag_has_its_page(name):
    entry = registry.get("flags", name)
    page = Path(__file__).parent.parent / "docs" / "flags" / f"{name}.md"
    assert page.read_text() == flag_page(entry)
    assert entry.facts["level"] in ("warning", "note")


def test_the_index_of_flags_is_complete():
    assert (Path(__file__).parent.parent / "docs" / "flags" / "README.md").read_text() == flag_index()
