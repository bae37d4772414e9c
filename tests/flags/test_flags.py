"""Red flags: each is raised by a network that was built to raise it, and none by an ordinary one."""

from pathlib import Path

import pytest
import torch
from claims import JUDGED
from docs.generate.flag_pages import flag_index, flag_page
from torch import nn
from torch.nn import functional as F

from variate import registry
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.flags.evidence import DOUBTS, Evidence
from variate.flags.raise_flags import raised
from variate.flags.unbounded_survives import UNBOUNDED
from variate.oracle.white_box import GradientOracle
from variate.random.randomize import randomize
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Convergence, Example, NetworkLine, RunLine, Scale
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
            settings=options, **JUDGED,
        )  # fmt: skip
        claim = Claim(**claim.model_dump() | changes)
        lines = [
            Example(
                claim=claim.id, example=i, label=0, distance=0.0, forwards=1, backwards=attack not in BLACK,
                answers={"single": pack([i < right or (random and s == 0 and i == right) for s in range(max(draws, 1))])
                         if random else pack([i < right])},
            )
            for i in range(examples)
        ]  # fmt: skip
        records.add([claim, *lines])
    return records


BLACK = ("noise", "transfer")


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


@pytest.mark.parametrize("examples", range(2, 9))
def test_a_few_examples_prove_nothing(examples):
    """Even if all of them differ: the sign test needs eight for 99.5 %."""
    records = made([(PGD, examples), (("fgsm", DOUBTS, "linf:0.1", {}), 0)], examples=examples, random=False)
    assert ("one-step-stronger" in names(records)) == (examples == 8)


def both(*parts):
    records = Records()
    for part in parts:
        records.add(part.claims.values())
        records.add([line for lines in part.examples.values() for line in lines.values()])
    return records


def test_only_what_can_be_compared_is_compared():
    fgsm = ("fgsm", DOUBTS, "linf:0.1", {})
    assert names(both(made([(PGD, 60)]), made([(fgsm, 40)]))) == {"one-step-stronger"}
    for other in ({"fingerprint": "g"}, {"inputs": "j"}, {"seed": 1}):
        assert names(both(made([(PGD, 60)]), made([(fgsm, 40)], **other))) == set()
    norms = [(("pgd", "table", "linf:0.1", {}), 30), (("pgd", "table", "l2:0.5", {}), 80)]
    assert names(made(norms)) == set()  # 0.5 is more than 0.1, and l2 is another norm


def test_a_white_box_attack_on_other_inputs_hides_nothing():
    same = made([(PGD, 60), (("noise", DOUBTS, "linf:0.1", {}), 40)])
    assert names(both(made([(PGD, 30)], inputs="j"), same)) == {"black-box-stronger"}


def test_an_attack_that_nobody_registered_is_known_by_its_passes():
    assert names(made([(PGD, 60), (("plugged", DOUBTS, "linf:0.1", {}), 40)])) == set()  # it took gradients


ATTACKS = [{"name": "pgd"}, {"name": "transfer", "source": "mean"}]


def suite(shares, examples=100):
    claim = Claim(
        network=NAME, fingerprint="f", inputs="i", attack="standard", options={"attacks": ATTACKS},
        budget="linf:0.1", draws=5, verdict_draws=1, deployments=["single"], seed=0, settings={}, **JUDGED,
    )  # fmt: skip
    line = {"claim": claim.id, "label": 0, "distance": 0.0, "forwards": 1, "backwards": 1}
    line["answers"] = {"single": pack([1])}
    records = Records()
    records.add([claim, *(Example(**line, example=i, shares=shares(i)) for i in range(examples))])
    return records


@pytest.mark.parametrize(("white", "black", "count", "is_raised"), [
    (1.0, 0.0, 20, True), (1.0, 0.0, 7, False), (0.55, 0.45, 100, False), (0.0, 0.0, 100, False),
])  # fmt: skip
def test_what_a_black_box_attack_adds_to_a_suite(white, black, count, is_raised):
    added = names(suite(lambda i: {"pgd": white, "transfer from mean": black if i < count else white}))
    assert ("black-box-stronger" in added) == is_raised


@pytest.mark.parametrize(("left", "is_raised"), [(30, True), (0, False)])
def test_an_unbounded_attack_must_break_everything(left, is_raised):
    found = names(made([(("pgd", UNBOUNDED, "linf:1", {"steps": 40}), left)], random=False))
    assert ("unbounded-survives" in found) == is_raised


def published(rates, data="cifar10", architecture="wide", examples=1000):
    run = {"command": "c", "date": "d", "machine": "m", "versions": {}, "seed": 0, "shape": [3], "examples": 1}
    records = made(rates, examples=examples)
    records.add([RunLine(**run, data=data, title="t"), described(architecture=architecture, random=False)])
    return "above-published" in names(records)


@pytest.mark.parametrize(("budget", "data", "is_raised"), [
    ("linf:8/255", "cifar10", True), ("linf:0.031", "cifar10", True), ("linf:16/255", "cifar10", True),
    ("linf:8/255", "digits", False), ("linf:4/255", "cifar10", False), ("l2:0.5", "cifar10", False),
])  # fmt: skip
def test_a_claim_above_what_was_published(budget, data, is_raised):
    assert published([(("pgd", "table", budget, {}), 850)], data) == is_raised


@pytest.mark.parametrize(("architecture", "right", "is_raised"), [
    ("wide", 650, False), ("resnet18", 650, True), ("resnet18", 560, False), ("wide", 790, True), ("wide", 740, False),
])  # fmt: skip
def test_a_small_network_is_held_to_what_small_networks_reach(architecture, right, is_raised):
    assert published([(("pgd", "table", "linf:8/255", {}), right)], architecture=architecture) == is_raised


def test_a_weak_attack_beside_a_strong_one_claims_nothing():
    weak, strong = ("transfer", "table", "linf:8/255", {}), ("pgd", "table", "linf:8/255", {})
    assert published([(weak, 900)])
    assert not published([(weak, 900), (strong, 450)])


@pytest.mark.parametrize("flat", [True, False])
def test_draws_that_have_not_converged(flat):
    records = made([(PGD, 60)])
    line = {"network": NAME, "fingerprint": "f", "inputs": "i", "attack": "apgd-ce", "budget": "linf:0.1", "seed": 0}
    line |= {"settings": {}, **JUDGED}
    records.add([Convergence(**line, examples=64, draws=[5, 10], accuracy=[0.6, 0.5], chosen=10, flat=flat)])
    assert ("draws-not-converged" in names(records)) != flat


@pytest.mark.parametrize(("most", "is_raised"), [(60, True), (80, False)])
def test_a_curve_that_still_falls_at_its_end(most, is_raised):
    """Whatever it did before: 1 to 5 draws always helps."""

    parts = []
    for draws, right in ((1, 95), (20, 80), (100, most)):
        records = made([(("pgd", "draws", "linf:0.1", {"steps": 20}), right)])
        (old,) = records.claims.values()
        new = Claim(**old.model_dump() | {"draws": draws})
        moved = Records()
        moved.add([new, *(line.model_copy(update={"claim": new.id}) for line in records.examples[old.id].values())])
        parts.append(moved)
    assert ("draws-not-converged" in names(both(*parts))) == is_raised


@pytest.mark.parametrize(("right", "broken", "left", "is_raised"), [
    (50, 0.5, 0.0, False),  # that a broken example's loss still rose does not matter
    (50, 0.0, 0.5, True), (12, 0.0, 0.5, True), (9, 0.0, 0.5, False), (50, 0.0, 0.04, False), (50, None, None, False),
])  # fmt: skip
def test_only_examples_that_stay_right_tell_of_an_unfinished_attack(right, broken, left, is_raised):
    records = made([(("pgd", "table", "linf:0.1", {"steps": 40}), right)], random=False)
    (claim,) = records.claims.values()
    lines = records.examples[claim.id].values()
    moved = Records()
    moved.add([claim, *(e.model_copy(update={"rising": left if e.example < right else broken}) for e in lines)])
    assert ("unfinished-attack" in names(moved)) == is_raised


def described(**changes):
    facts = {"architecture": "a", "defense": "random", "objective": "o", "parameters": 1, "epochs": 1, "seed": 0}
    facts |= {"random": True, "fingerprint": "f", "training": {}, "validation": None, "seconds": 1}
    return NetworkLine(network=NAME, **facts | changes)


def not_random(records):
    return [flag for flag in raised(records) if flag.flag == "not-random"]


@pytest.mark.parametrize(("random", "level"), [(True, "warning"), (False, "note")])
def test_a_network_that_was_made_random_and_is_not(random, level):
    records = made([(PGD, 60)], random=False)
    records.add([described(random=random)])
    (flag,) = not_random(records)
    assert flag.level == level
    assert ("although it was made random" in flag.findings[0]) == random


@pytest.mark.parametrize(("std", "is_raised"), [(0.001, True), (0.0009, True), (0.02, False)])
def test_noise_that_has_collapsed(std, is_raised):
    """What PNI learns without attacks is below 1 %; a parameter that was never random does not count."""
    records = made([(PGD, 60)])
    scale = {"network": NAME, "elements": 10, "mean_rms": 1.0}
    records.add([
        described(),
        Scale(**scale, parameter="weight", std_rms=std, std_min=std, std_max=std),
        Scale(**scale | {"elements": 10**6}, parameter="fixed", std_rms=0.0, std_min=0.0, std_max=0.0),
    ])  # fmt: skip
    flags = not_random(records)
    assert bool(flags) == is_raised
    assert all(flag.level == "warning" and f"{100 * std:.2g} %" in flag.findings[0] for flag in flags)


@pytest.mark.parametrize(("scale", "is_raised"), [(0.1, False), (1e-4, True)])
def test_draws_that_agree_only_because_everything_is_broken(scale, is_raised, ordinary, data):
    found, records = flags_of(randomize(ordinary, scale=scale), data, budget="linf:0.6")
    attacked = [claim for claim in records.claims.values() if claim.attack == "pgd"]
    assert all(not records.answers(claim, "single").any() for claim in attacked)  # nothing that could disagree
    assert ("not-random" in found) == is_raised


@pytest.mark.parametrize("budget", ["l2:1", "l1:5", "l0:3"])
def test_an_ordinary_random_network_raises_nothing_in_other_norms(budget, ordinary, data):
    found, _ = flags_of(randomize(ordinary, scale=0.3), data, budget=budget)
    assert {name: flag.findings for name, flag in found.items()} == {}


@pytest.mark.parametrize("size", [3, 8])
def test_gradients_are_measured_batch_by_batch(size, ordinary, data, monkeypatch):
    """Under the same draws whatever the size of a batch."""
    widths, each = [], GradientOracle.each

    def watched(oracle, x, *rest, **options):
        widths.append((len(x), tuple(rest[2])))
        return each(oracle, x, *rest, **options)

    monkeypatch.setattr(GradientOracle, "each", watched)
    records = Records()
    common = {"budget": BUDGET, "records": records, "name": NAME, "steps": 1, "draws": 4, "verdict_draws": 10}
    doubt(randomize(ordinary, scale=0.3), data[0][:8], data[1][:8], batch_size=size, **common)
    batches = [3, 3, 2] if size == 3 else [8]
    halves = [width for width in batches for _ in range(2)]  # for the price of a query
    assert [width for width, _ in widths] == batches + halves
    assert len({keys for _, keys in widths[: len(batches)]}) == 1
    assert len({keys for _, keys in widths[len(batches) :]}) == 2
    assert [line.example for line in records.gradients.values()] == list(range(8))


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
    page = Path(__file__).parents[2] / "docs" / "flags" / f"{name}.md"
    assert page.read_text() == flag_page(entry)
    assert entry.facts["level"] in ("warning", "note")


def test_the_index_of_flags_is_complete():
    assert (Path(__file__).parents[2] / "docs" / "flags" / "README.md").read_text() == flag_index()


def test_a_twin_is_deterministic_on_purpose(ordinary, data):
    x, y = data[0][:20], data[1][:20]
    records = Records()
    evaluate(ordinary, x, y, budget=BUDGET, attacks=["fgsm"], deployments=["single"], records=records, part="twins")
    assert not not_random(records)
