"""What a command would cost: counted as the command then counts, timed near what it then takes, nothing written."""

import json
import time

import pytest
from typer.testing import CliRunner

from variate.cli.main import app
from variate.records.file import Records
from variate.study.cost_estimate import of_training
from variate.training.cell import Cell
from variate.training.recipe import Recipe
from variate.training.run_folder import train_cell

TRAIN = ["train", "--data", "digits", "--network", "mlp", "--defense", "deterministic", "--quiet"]


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_dry_run_tells_the_cost_and_writes_nothing(tmp_path):
    done = run(*TRAIN, "--epochs", 5, "--out", tmp_path / "a", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "5 epochs of 9 batches" in done.stdout
    assert "each 5 passes forward, 5 back" in done.stdout
    assert "data: digits" in done.stdout
    assert "about" in done.stdout
    assert not (tmp_path / "a").exists()


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
    study = tmp_path / "s.toml"
    study.write_text(
        'title = "T"\ndata = "digits"\nnetwork = "mlp"\nbudget = "linf:0.1"\ndefenses = ["deterministic", "random"]\n'
        '[training]\nepochs = 1\n[evaluation]\nexamples = 4\nverdict_draws = 4\ndraws = 1\nattacks = ["fgsm"]\n'
        'deployments = ["single"]\n'
    )
    done = run("study", study, "--out", tmp_path / "o", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["network"], row["state"]) for row in rows] == [("deterministic", "to do"), ("random", "to do")]
    assert all(row["seconds"] > 0 for row in rows)
    assert [(row["queries"], row["forwards"], row["backwards"]) for row in rows] == [(1, 1, 1), (2, 2, 2)]
    assert not (tmp_path / "o").exists()
    others = run("study", study, "--out", tmp_path / "o", "--seed", 7, "--seed", 8, "--dry-run")
    assert others.stdout.count("seed 7") == others.stdout.count("seed 8") == 2
    assert "2 passes forward, 2 back" in others.stdout


COUNTED = {
    "at": ({"attack_steps": 4}, ["at: 2 epochs of 9 batches"], (10, 10)),
    "random-at": ({"attack_steps": 4, "keep": "best", "validation_steps": 3}, None, (10, 10)),
    "distillation": (
        {},
        ["teacher, deterministic: 2 epochs of 9 batches", "distillation: 2 epochs of 9 batches"],
        (2, 2),
    ),
}


@pytest.mark.parametrize("defense", COUNTED)
def test_passes_of_a_training_are_those_of_its_inner_attack_its_validation_and_its_teacher(defense):
    options, names, passes = COUNTED[defense]
    costs = of_training(Cell(data="digits", network="mlp", defense=defense, recipe=Recipe(epochs=2, **options)))
    epochs = [cost for cost in costs if "epochs of" in cost.what]
    assert names is None or [cost.what for cost in epochs] == names
    assert all((cost.forwards, cost.backwards) == passes for cost in epochs)
    under_attack = [cost for cost in costs if "under PGD" in cost.what]
    assert [(cost.forwards, cost.backwards) for cost in under_attack] == [(8, 6)] * ("keep" in options)


def test_a_training_takes_about_as_long_as_was_told(tmp_path):
    """Within a factor of four, as one is timed beside whatever else the machine does."""
    cell = Cell(data="digits", network="lenet", defense="random-at", recipe=Recipe(epochs=4))
    of_training(cell)  # imports are loaded in both
    told = sum(cost.seconds for cost in of_training(cell))
    started = time.perf_counter()
    train_cell(cell, tmp_path)
    assert told / 4 < time.perf_counter() - started < told * 4


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
    assert "in one process; 2 share it" in done.stdout
    assert "come on top" in done.stdout
    assert not (tmp_path / "a" / "records.jsonl").exists()
