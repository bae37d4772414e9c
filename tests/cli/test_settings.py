"""Options from the command line, the environment, a file or their defaults; completion; the doctor; the page."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from docs.generate.cli_reference import examples, reference
from typer.testing import CliRunner

from variate import registry
from variate.cli import doctor, options, settings
from variate.cli import evaluation_command as judging
from variate.cli.main import app
from variate.datasets import fashion_mnist
from variate.records.file import Records

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(app).commands
TRAIN = ["train", "--data", "digits", "--network", "mlp", "--defense", "deterministic", "--quiet"]


def run(*words, **environment):
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


def config(*words, **environment):
    done = run(*words, "--show-config", "--json", **environment)
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
    done = run(*words, "--show-config", "--config", "other.toml")
    assert "9" in next(line for line in done.stdout.splitlines() if line.startswith("--epochs"))


BAD = {
    "command": ("[trian]\nepochs = 1\n", "did you mean 'train'"),
    "option": ("[train]\nepoch = 1\n", "did you mean 'epochs'"),
    "general option": ("sed = 1\n", "did you mean 'seed'"),
    "syntax": ("[train\n", "is not a TOML file"),
    "value": ('[train]\nepochs = "many"\n', "(file {path})"),
    "list": ("[train]\nepochs = [1, 2]\n", "epochs of train in {path} is a list"),
    "number for a flag": ("[train]\nquiet = 2\n", "expected: true or false"),
    "flag for a number": ("[train]\nepochs = true\n", "epochs of train in {path} is True"),
    "table of an option": ("[train.epochs]\nfirst = 1\n", "is a table"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_cannot_be_meant_is_explained(case, tmp_path):
    text, message = BAD[case]
    (tmp_path / "bad.toml").write_text(text)
    done = run(*TRAIN, "--out", tmp_path / "a", "--config", tmp_path / "bad.toml")
    assert done.exit_code == 2
    told = " ".join(done.stderr.split())
    assert message.format(path=tmp_path / "bad.toml") in told
    assert "Traceback" not in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_variable_is_named_for_its_command_and_option(name):
    for option, parameter in settings.options_of(COMMANDS[name]).items():
        assert parameter.envvar == f"VARIATE_{name}_{option}".replace("-", "_").upper()


def test_variables_and_wrong_values_of_variables_and_wrong_variables(here):
    assert config("report", "a", VARIATE_REPORT_FORMAT="csv")["--format"] == (
        "csv",
        "environment, VARIATE_REPORT_FORMAT",
    )
    found = config("evaluate", "a", VARIATE_EVALUATE_DEPLOYMENT="mean-4 single")
    assert found["--deployment"][0] == ["mean-4", "single"]
    wrong = run(*TRAIN, "--out", "a", VARIATE_TRAIN_EPOCHS="many")
    assert wrong.exit_code == 2
    assert "(environment, VARIATE_TRAIN_EPOCHS)" in " ".join(wrong.stderr.split())
    unknown = run(*TRAIN, "--out", "a", VARIATE_TRAIN_EPOCH="1")
    assert unknown.exit_code == 2
    assert "did you mean 'VARIATE_TRAIN_EPOCHS'" in unknown.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_configuration_whatever_is_not_given(name, here):
    command = COMMANDS[name]
    needed = {settings.option_of(parameter) for parameter in command.params if parameter.required}
    found = config(name)
    assert {option for option, (_, place) in found.items() if place == "required, not given"} == needed
    shown = {settings.option_of(p) for p in command.params} - {"--config", "--show-config"}
    assert set(found) == shown
    assert run(name, "-h").stdout.count("--show-config") == 1
    if needed:  # to show it has changed nothing
        assert run(name).exit_code == 2


def test_one_value_may_stand_for_a_list_and_false_for_a_flag(here):
    (here / "variate.toml").write_text('[attack]\nattack = "pgd"\nquiet = false\n')
    found = config("attack", "a")
    assert found["--attack"] == (["pgd"], "file variate.toml")
    assert found["--quiet"] == (False, "file variate.toml")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    done = run("list", "attacks", "--config", tmp_path / "none.toml")
    assert done.exit_code == 2
    assert "none.toml" in done.stderr


def test_the_recorded_command_holds_what_the_file_and_the_environment_added(here, monkeypatch):
    (here / "variate.toml").write_text(
        '[train]\nepochs = 1\n[attack]\nexamples = 6\njson = false\ndeployment = ["single"]\n'
    )
    assert run(*TRAIN, "--out", "a").exit_code == 0
    words = ["attack", "a", "--attack", "fgsm", "--quiet"]
    (here / "variate.toml").rename(here / "other.toml")
    monkeypatch.setattr(sys, "argv", ["variate", *words, "--config", "other.toml"])
    done = run(*words, "--config", "other.toml", VARIATE_ATTACK_TRUST_CODE="1")
    assert done.exit_code == 0, done.output
    command = Records(here / "a" / "records.jsonl").runs[0].command
    added = shlex.split(command)[len(words) + 1 :]
    assert sorted(added) == ["--deployment", "--examples", "--trust-code", "6", "single"]
    again = COMMANDS["attack"].make_context("attack", shlex.split(command)[2:])
    assert (again.params["examples"], again.params["deployment"], again.params["trust_code"]) == (6, ["single"], True)


def test_what_is_added_to_a_command_stands_before_its_words_that_are_no_options(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["variate", "attack", "--config=a.toml", "--attack", "fgsm", "--", "-a"])
    token = settings.ADDED.set(("--seed", "1"))
    assert options.this_command() == "variate attack --attack fgsm --seed 1 -- -a"
    settings.ADDED.reset(token)


def test_one_of_several_processes_starts_no_more_of_them_whatever_the_file_says(monkeypatch):
    monkeypatch.setattr("variate.evaluation.processes.spawn", lambda words, count: pytest.fail("started again"))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not judging.spread(2)


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


COMPLETED = {
    "train --data fash": "fashion-mnist",
    "train --network resn": "resnet18",
    "train --defense pn": "pni",
    "train --objective tra": "trades",
    "train --budget lin": "linf:",
    "attack a --attack apgd-t": "apgd-targeted",
    "evaluate a --suite sta": "standard",
    "check a:b --family lap": "laplace",
    "list atta": "attacks",
    "list --modality tab": "tabular",
    "study brea": "breast-cancer",
    "export a --format on": "onnx",
    "exp": "export",
    "train --show-c": "--show-config",
}


def test_names_are_completed_and_nothing_heavy_is_loaded():
    """By what a shell runs, all in one process."""
    code = (
        "import os, sys\n"
        "from variate.cli.main import app\n"
        "for words in sys.argv[1:]:\n"
        "    words = 'variate ' + words\n"
        "    os.environ.update(_VARIATE_COMPLETE='complete_bash', COMP_WORDS=words)\n"
        "    os.environ['COMP_CWORD'] = str(len(words.split()) - 1)\n"
        "    try:\n        app(prog_name='variate')\n    except SystemExit:\n        print()\n"
        "print('heavy:', [m for m in ('torch', 'scipy', 'numpy') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *COMPLETED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*COMPLETED.values(), "heavy:", "[]"], done.stderr


def named(facts, kind):
    return {name.removeprefix(kind) for name in facts if name.startswith(kind)}


def test_the_doctor_tells_of_every_extra_and_data_set_and_fetches_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion_mnist, "_download", lambda *_: pytest.fail("fetched"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    facts = doctor.examine()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.match(r"[\w-]+", line)[0].lower() for line in project["dependencies"]}
    assert needed <= {name.lower() for name in facts}
    assert named(facts, "extra ") == {*doctor.required()} - {"", "dev"}
    assert named(facts, "data ") == {*registry.entries("datasets")}
    assert facts["data digits"] == "400 test examples"
    assert facts["data fashion-mnist"].startswith("not on this machine")
    shown = run("doctor", "--data-folder", tmp_path).stdout
    assert f"{tmp_path} does not contain Fashion-MNIST" in shown


def test_a_missing_package_is_told_with_its_extra(monkeypatch):
    monkeypatch.setattr(doctor, "required", lambda: {"": ["torch"], "speed": ["torch", "no-such-package"]})
    assert doctor.examine()["extra speed"] == "no-such-package missing: pip install 'variate[speed]'"
