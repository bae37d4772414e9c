"""Options from the command line, the environment, a file or their defaults; what a command would cost; its page."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from variate.cli import options
from variate.cli.main import app
from variate.cli.reference import examples, reference
from variate.record import Records

ROOT = Path(__file__).parent.parent
COMMANDS = typer.main.get_command(app).commands
TRAIN = ["train", "--data", "digits", "--network", "mlp", "--defense", "deterministic", "--quiet"]


def run(*words, **environment):
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def config(*words, **environment):
    done = run("--show-config", *words, "--json", **environment)
    assert done.exit_code == 0, done.output
    return {row["option"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "variate.toml").write_text(
        'seed = 3\n[train]\nepochs = 4\nlr = 0.5\nbatch-size = 7\n[evaluate]\ndeployment = ["single", "mean-16"]\n'
    )
    return tmp_path


def test_the_command_line_goes_before_the_environment_before_the_file_before_the_default(here):
    words = ["train", "--data", "digits", "--out", "a", "--epochs", 1]
    found = config(*words, VARIATE_TRAIN_EPOCHS="2", VARIATE_TRAIN_LR="0.25")
    assert found["--epochs"] == (1, "command line")
    assert found["--lr"] == (0.25, "environment, VARIATE_TRAIN_LR")
    assert found["--batch-size"] == (7, "file variate.toml")
    assert found["--seed"] == (3, "file variate.toml")  # what stands above the tables holds for all commands
    assert found["--network"] == ("lenet", "default")
    assert not (here / "a").exists()


def test_a_list_may_stand_in_the_file(here):
    assert config("evaluate", "a")["--deployment"] == (["single", "mean-16"], "file variate.toml")


def test_the_file_may_be_named(here):
    (here / "other.toml").write_text("[train]\nepochs = 9\n")
    words = ["train", "--data", "digits", "--out", "a"]
    assert config(*words, VARIATE_CONFIG="other.toml")["--epochs"] == (9, "file other.toml")
    done = run("--config", "other.toml", "--show-config", *words)
    assert "9" in next(line for line in done.stdout.splitlines() if line.startswith("--epochs"))


BAD = {
    "command": ("[trian]\nepochs = 1\n", "did you mean 'train'"),
    "option": ("[train]\nepoch = 1\n", "did you mean 'epochs'"),
    "general option": ("sed = 1\n", "did you mean 'seed'"),
    "syntax": ("[train\n", "is no configuration"),
    "value": ('[train]\nepochs = "many"\n', "--epochs"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_meant_is_explained(case, tmp_path):
    text, message = BAD[case]
    (tmp_path / "bad.toml").write_text(text)
    done = run("--config", tmp_path / "bad.toml", *TRAIN, "--out", tmp_path / "a")
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    done = run("--config", tmp_path / "none.toml", "list", "attacks")
    assert done.exit_code == 2
    assert "none.toml" in done.stderr


def test_the_recorded_command_holds_what_the_file_and_the_environment_added(here, monkeypatch):
    (here / "variate.toml").write_text('[train]\nepochs = 1\n[attack]\nexamples = 6\ndeployment = ["single"]\n')
    assert run(*TRAIN, "--out", "a").exit_code == 0
    words = ["attack", "a", "--attack", "fgsm", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["variate", *words])
    done = run(*words, VARIATE_ATTACK_TRUST_CODE="1")
    assert done.exit_code == 0, done.output
    command = Records(here / "a" / "records.jsonl").runs[0].command
    added = shlex.split(command)[len(words) + 1 :]
    assert sorted(added) == ["--deployment", "--examples", "--trust-code", "6", "single"]
    again = COMMANDS["attack"].make_context("attack", shlex.split(command)[2:])
    assert (again.params["examples"], again.params["deployment"], again.params["trust_code"]) == (6, ["single"], True)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_can_be_typed(name):
    command = COMMANDS[name]
    shown = examples(command)
    assert shown
    for line in shown:
        first, second, *words = shlex.split(line)
        assert (first, second) == ("variate", name)
        command.make_context(name, words)


def test_the_page_of_the_command_line_is_that_of_the_commands():
    assert (ROOT / "docs/cli.md").read_text() == reference()


def test_names_are_completed_and_nothing_heavy_is_loaded():
    assert options.names("attacks")("apgd") == ["apgd-ce", "apgd-dlr", "apgd-targeted"]
    assert options.names("", "quick", "standard")("st") == ["standard"]
    code = (
        "import os, sys\n"
        "os.environ.update(_VARIATE_COMPLETE='complete_bash', COMP_WORDS='variate train --defense pn')\n"
        "os.environ['COMP_CWORD'] = '3'\n"
        "from variate.cli.main import app\n"
        "try:\n    app(prog_name='variate')\nexcept SystemExit:\n    pass\n"
        "print('heavy:', [m for m in ('torch', 'scipy', 'numpy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pni", "heavy:", "[]"]


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
