"""What a dry run prints: passes as the command then counts them, the plan before any time; nothing is written."""

import importlib
import itertools
import json
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.inputs.budget import Budget
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.study import dry_evaluation, dry_study, dry_training
from variate.study.dry_evaluation import _Still, of_evaluation
from variate.study.dry_study import of_study
from variate.study.dry_training import of_training
from variate.study.file import read_study
from variate.study.grid import places
from variate.study.work import Order, Task, work
from variate.training import run_folder
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell

TRAIN = ["train", "--data", "digits", "--network", "mlp", "--defense", "deterministic", "--quiet"]
STUDY = """
title = "T"
data = "digits"
network = "mlp"
budget = "linf:0.1"
defenses = ["deterministic", "random"]
[training]
epochs = 1
[evaluation]
examples = 4
verdict_draws = 4
draws = 3
attacks = ["fgsm", "pgd(steps=2)"]
deployments = ["single"]
"""


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def ticks(monkeypatch):
    """A clock that goes on by one second each time it is looked at."""
    clock = itertools.count()
    for module in (dry_training, dry_evaluation):
        monkeypatch.setattr(module, "perf_counter", lambda: float(next(clock)))


def test_a_dry_run_prints_the_plan_and_writes_nothing(tmp_path, ticks):
    done = run(*TRAIN, "--epochs", 5, "--out", tmp_path / "a", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "data: digits"
    assert "deterministic: 5 epochs of 9 batches; 45 batches, each 1 forward and 1 backward passes" in done.stdout
    assert "   45 s  deterministic" in done.stdout  # a second for each
    assert lines[-1].startswith("at most 50 forward and 45 backward passes, about 49 s")  # validation by the batch's
    assert not (tmp_path / "a").exists()


def test_the_time_is_that_of_one_batch_times_their_number(ticks):
    network, x, y = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), torch.rand(70, 1, 8, 8), torch.arange(70) % 10
    attacks = [{"name": "pgd", "steps": 7}]
    parts = list(of_evaluation(network, x, y, Evaluation(budget="linf:0.1", batch_size=32, attacks=attacks)))
    assert [(part.batches, part.forwards, part.backwards, part.judging) for part in parts] == [
        (3, 0, 0, 1),
        (3, 7, 7, 1),
    ]
    assert [part.batch_seconds for part in parts] == [1, 1 + 7]
    assert [part.seconds for part in parts] == [3, 24]


def test_a_dry_run_counts_what_the_attack_then_asks(tmp_path):
    for defense in ("deterministic", "random"):
        out = tmp_path / defense
        train = ["train", "--data", "digits", "--network", "mlp", "--defense", defense, "--epochs", 1, "--quiet"]
        assert run(*train, "--out", out).exit_code == 0
        words = ["attack", out, "--attack", "pgd(steps=3)", "--attack", "square(queries=20)", "--draws", 2]
        words += ["--attack", "hopskipjump(queries=500)"]
        words += ["--examples", 8, "--verdict-draws", 16, "--deployment", "single", "--quiet"]
        before = sorted(path.name for path in out.iterdir())
        parts = json.loads(run(*words, "--dry-run", "--json").stdout)["parts"]
        told = {row["what"].partition(",")[0]: row for row in parts}
        assert sorted(path.name for path in out.iterdir()) == before
        assert run(*words).exit_code == 0
        records = Records(out / "records.jsonl")
        for claim in records.claims.values():
            asked = max(line.forwards for line in records.examples[claim.id].values())
            expected = told[claim.attack]["forwards"]
            assert asked == expected if claim.attack == "pgd" else asked <= expected, claim.attack
    assert all(row["seconds"] > 0 for row in told.values())


def test_a_dry_run_of_a_study_tells_what_is_left(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY)
    done = run("study", tmp_path / "s.toml", "--out", tmp_path / "o", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["network"], row["state"]) for row in rows] == [("deterministic", "to do"), ("random", "to do")]
    for row in rows:
        assert row["forwards"] == sum(part["batches"] * (part["forwards"] + part["judging"]) for part in row["parts"])
        assert row["seconds"] == pytest.approx(sum(part["seconds"] for part in row["parts"]))
    assert not (tmp_path / "o").exists()


def _trained_passes(cell, out, monkeypatch):
    """Passes of the student in a real training, forward and backward."""
    build, counts = run_folder.untrained, []
    with ExitStack() as stack:

        def untrained(one, facts):
            network, objective = build(one, facts)
            if one == cell:
                counts.append(stack.enter_context(dry_training._passes(network)))
            return network, objective

        monkeypatch.setattr(run_folder, "untrained", untrained)
        train_cell(cell, out)
    return tuple(counts[0])


@pytest.mark.parametrize(
    ("defense", "options"),
    [
        ("at", {"attack_steps": 4}),
        ("random-at", {"attack_steps": 4, "keep": "best", "validation_steps": 3, "validation_examples": 40}),
        ("at", {"attack_steps": 4, "curve_examples": 300, "validation_steps": 2}),
        ("distillation", {}),
        ("modes-at(modes=3)", {"attack_steps": 2, "curve_examples": 300, "validation_steps": 2}),
    ],
)
def test_passes_of_a_training_are_those_that_it_then_makes(defense, options, tmp_path, monkeypatch):
    cell = Cell(data="digits", network="mlp", defense=defense, recipe=Recipe(epochs=2, **options))
    parts = [part for part in of_training(cell) if not part.what.startswith("teacher")]
    told = tuple(sum(part.batches * getattr(part, name) for part in parts) for name in ("forwards", "backwards"))
    attacks = 1 + 4 * ("curve_examples" in options)  # in training, and on two splits after each of two epochs
    looks = 3 * attacks if defense == "at" else 0  # that find out whether a network is random
    forwards, backwards = _trained_passes(cell, tmp_path, monkeypatch)
    assert told == (forwards - looks, backwards)


def test_a_teacher_is_planned_before_what_learns_from_it():
    parts = list(of_training(Cell(data="digits", network="mlp", defense="distillation", recipe=Recipe(epochs=2))))
    epochs = [part.what for part in parts if "epochs of" in part.what]
    assert epochs == ["teacher, deterministic: 2 epochs of 9 batches", "distillation: 2 epochs of 9 batches"]


ATTACKS = [
    "fgsm", "pgd(steps=3)", "apgd-ce(steps=5)", "mi-fgsm(steps=3)", "square(queries=30)", "nes(queries=60)",
    "noise(queries=9)",
]  # fmt: skip


def _told_and_asked(network, x, y, tmp_path, *, doubts=False, **how):
    """Forward and backward passes for each example, as told and as the records then have them."""
    asked = Evaluation(budget="linf:0.05", draws=3, verdict_draws=4, deployments=("single",), **how)
    told = of_evaluation(network, x, y, replace(asked, batch_size=8), doubts=doubts)
    records = Records(tmp_path / "r.jsonl")
    evaluate(network, x, y, evaluation=asked, records=records, name="n")
    if doubts:
        doubt(network, x, y, evaluation=asked, records=records, name="n")
    lines = [next(iter(records.examples[claim.id].values())) for claim in records.claims.values()]
    counts = [(part.forwards, part.backwards) for part in told]
    return counts, [(line.forwards, line.backwards) for line in lines]


@pytest.fixture
def firm():
    """A random network that no attack within 0.05 fools, so that none ends early."""
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = _Still(10, x[:1], Budget.parse("linf:0.05"))
    network = variate.randomize(nn.Sequential(plain, nn.Linear(10, 10)), scale=1e-4)
    with torch.no_grad():
        network[1].weight.copy_(torch.eye(10))
    return network.eval(), x[:1], torch.tensor([0])


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_then_asks_what_was_told(firm, attack, tmp_path):
    told, asked = _told_and_asked(*firm, tmp_path, attacks=[attack])
    assert told == asked
    assert asked[1][0] >= 3


def test_a_suite_and_the_doubts_then_ask_what_was_told(firm, tmp_path):
    told, asked = _told_and_asked(*firm, tmp_path, attacks=[], suite="quick", doubts=True)
    told = [counts for i, counts in enumerate(told) if i < 3 or counts != (0, 0)]  # clean inputs are judged once
    asked = [counts for i, counts in enumerate(asked) if i < 3 or counts != (0, 0)]
    assert told == asked


def test_the_plan_of_a_study_comes_before_anything_is_measured(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dry_study, "of_training", interrupted)
    (tmp_path / "s.toml").write_text(STUDY)
    done = run("study", tmp_path / "s.toml", "--out", tmp_path / "o", "--dry-run")
    assert done.stdout.splitlines()[1:4] == [  # after the line on what begins
        "deterministic  to do  1 epoch, 2 attacks, within linf:0.1",
        "random         to do  1 epoch, 2 attacks, within linf:0.1",
        "2 networks: 0 done, 2 left",
    ]


def test_networks_that_differ_in_their_seed_are_measured_once(tmp_path, monkeypatch):
    (tmp_path / "s.toml").write_text(STUDY)
    study = read_study(str(tmp_path / "s.toml")).model_copy(update={"seeds": [1, 2, 3]})
    seen, measure = [], dry_study.of_training
    monkeypatch.setattr(dry_study, "of_training", lambda cell: seen.append(cell.defense) or measure(cell))
    told = dict(of_study(study, list(places(study, tmp_path / "o").values())))
    assert seen == ["deterministic", "random"]
    assert len(told) == 6
    assert told["random, seed 1"] == told["random, seed 3"]


def test_a_study_then_asks_what_was_told(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY + '[curves]\nexamples = 3\nsteps = 2\nsizes = ["0.05"]\ndraws = [2]\n')
    study = read_study(str(tmp_path / "s.toml"))
    grid = places(study, tmp_path / "o")
    told = {
        name: [part for part in parts if CLEAN not in part.what] for name, parts in of_study(study, [*grid.values()])
    }
    assert not (tmp_path / "o").exists()
    for name, place in grid.items():
        assert work(Order(study, tmp_path / "o"), Task(name, ("train", "judge"))) is None
        records = Records(place.folder / "records.jsonl")
        attacked = [claim for claim in records.claims.values() if claim.attack != CLEAN]
        asked = [next(iter(records.examples[claim.id].values())) for claim in attacked]
        passes = sorted((line.forwards, line.backwards) for line in asked)
        parts = [part for part in told[name] if "draws," in part.what]
        twice = [part for part in parts for _ in range(2 if part.what.startswith("twins") else 1)]
        assert sorted((part.forwards, part.backwards) for part in twice) == passes, name


def test_an_audit_is_told_for_a_network_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "owned.py").write_text(
        "from torch import nn\n\n"
        "def net():\n    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10))\n"
    )
    words = ["audit", "owned:net", "--data", "digits", "--suite", "quick", "--draws", 3, "--examples", 5]
    done = run(*words, "--out", tmp_path / "a", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["plan"] | {"network": "owned:net on digits", "budget": "linf:0.1", "draws": "3"} == found["plan"]
    (quick,) = [part for part in found["parts"] if part["what"].startswith("quick")]
    assert quick["forwards"] >= 3 * 20  # dropout is on: every query is averaged
    assert found["seconds"] == pytest.approx(sum(part["seconds"] for part in found["parts"]))
    assert not (tmp_path / "a").exists()


def test_several_processes_are_not_started_to_tell_the_cost(tmp_path, monkeypatch):
    monkeypatch.setattr("variate.evaluation.processes.spawn", lambda words, count: pytest.fail("started"))
    assert run(*TRAIN, "--epochs", 1, "--out", tmp_path / "a").exit_code == 0
    words = ["evaluate", tmp_path / "a", "--attack", "transfer(source=b)", "--suite", "quick", "--examples", 4]
    assert run(*TRAIN, "--epochs", 1, "--out", tmp_path / "b").exit_code == 0
    words += ["--source", tmp_path / "b", "--devices", 2, "--no-doubts", "--draws", 1, "--dry-run"]
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "in one process; 2 processes share the work" in done.stdout
    assert "not counted: passes of the networks" in done.stdout
    assert not (tmp_path / "a" / "records.jsonl").exists()


RECORDING = """
from torch import nn

SEEN = []

class Recorder(nn.Module):
    def forward(self, x):
        SEEN.append(x.detach().clone())
        return x

def network():
    return nn.Sequential(Recorder(), nn.Flatten(), nn.Linear(64, 10))
"""


def _passes_of(words):
    """The number of examples in every pass of the networks of a dry run."""
    seen = importlib.import_module("recording_dry").SEEN
    seen.clear()
    done = run(*words, "--dry-run", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    return [len(x) for x in seen]


def test_a_dry_run_asks_nothing_of_a_network_beyond_one_batch(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "recording_dry.py").write_text(RECORDING)
    text = STUDY.replace('"mlp"', '"recording_dry:network"').replace("examples = 4", "examples = 300\nbatch_size = 16")
    text = text.replace('["deterministic", "random"]', '["at"]').replace("epochs = 1", "epochs = 1\nbatch_size = 32")
    passes = []
    for attack in ("pgd(steps=2)", "pgd(steps=50)", "square(queries=5000)"):
        (tmp_path / "s.toml").write_text(text.replace("pgd(steps=2)", attack).replace("draws = 3", "draws = 30"))
        passes.append(_passes_of(["study", tmp_path / "s.toml", "--out", tmp_path / "o"]))
    assert passes[0] == passes[1] == passes[2]  # however long the attacks are
    assert passes[0].count(16) == 2  # a batch of the attacks: one forward pass, one with its gradient
    assert passes[0].count(32) == 2 * (10 + 1)  # one of the training, with its inner attack, to warm up and to time
    assert set(passes[0]) == {2, 16, 32}  # and a few passes of two examples, to see whether it is random
    audits = []
    for suite in ("quick", "standard"):
        audit = ["audit", "recording_dry:network", "--data", "digits", "--suite", suite, "--out", tmp_path / "o"]
        audits.append(_passes_of([*audit, "--batch-size", 16]))
    assert audits[0] == audits[1]
    assert audits[0].count(16) == 2
    assert max(audits[0]) == 16


def test_an_attack_that_uses_up_its_queries_is_told_without_asking_thousands(firm):
    network, x, y = firm
    asked = []
    evaluation = Evaluation(budget="linf:0.05", draws=3, attacks=["square(queries=4500)", "simba(queries=4000)"])
    with pytest.MonkeyPatch.context() as patch:
        still = _Still.forward
        patch.setattr(_Still, "forward", lambda self, x: asked.append(len(x)) or still(self, x))
        parts = list(of_evaluation(network, x, y, evaluation))
    assert [part.forwards for part in parts][1:] == [3 * 4500, 3 * 4000]
    assert len(asked) < 1000
