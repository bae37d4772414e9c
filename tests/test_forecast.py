"""What a command would cost: counted as the command then counts, timed near what it then takes, nothing written."""

import json

from typer.testing import CliRunner

from variate.cli.main import app
from variate.record import Records

TRAIN = ["train", "--data", "digits", "--network", "mlp", "--defense", "deterministic", "--quiet"]


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_dry_run_tells_the_cost_and_writes_nothing(tmp_path):
    done = run(*TRAIN, "--epochs", 5, "--out", tmp_path / "a", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "5 epochs of 9 batches" in done.stdout
    assert "about" in done.stdout
    assert not (tmp_path / "a").exists()


def test_a_dry_run_counts_what_the_attack_then_asks(tmp_path):
    for defense in ("deterministic", "random"):
        out = tmp_path / defense
        train = ["train", "--data", "digits", "--network", "mlp", "--defense", defense, "--epochs", 1, "--quiet"]
        assert run(*train, "--out", out).exit_code == 0
        words = ["attack", out, "--attack", "pgd(steps=3)", "--attack", "square(queries=20)", "--draws", 2]
        words += ["--examples", 8, "--verdict-draws", 16, "--deployment", "single", "--quiet"]
        before = sorted(path.name for path in out.iterdir())
        told = {row["what"].partition(",")[0]: row for row in json.loads(run(*words, "--dry-run", "--json").stdout)}
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
    assert not (tmp_path / "o").exists()
