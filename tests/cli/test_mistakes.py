"""Mistakes that the parser of the command line or pydantic notices are told as all others are: one kind of tree."""

import pytest
from typer.testing import CliRunner

from variate.cli.main import app

MISTAKES = {
    "no option": (["train"], "variate train needs --data", "expected: a data set"),
    "no argument": (["report"], "variate report needs PATHS", "do: variate report -h"),
    "unknown option": (["train", "--epoch", "2"], "no option of variate train named '--epoch'", "mean '--epochs'"),
    "unknown letter": (["train", "-z"], "no option of variate train named '-z'", "--epochs"),
    "unknown command": (["trian"], "no command named 'trian'", "mean 'train'"),
    "unknown option of all": (["--verson"], "no option of variate named '--verson'", "mean '--version'"),
    "no number": (["train", "--epochs", "many"], "--epochs is 'many'", "expected: a whole number, at least 1"),
    "too small": (["evaluate", "a", "--examples", "0"], "--examples is '0'", "a whole number, at least 1"),
    "no choice": (["report", "a", "--format", "pdf"], "--format", "expected: one of html, md, json, csv, latex"),
    "no value": (["train", "--out"], "'--out' requires an argument", "error"),
    "one word too many": (["doctor", "now"], "unexpected extra argument", "do: variate doctor -h"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_on_the_command_line_is_drawn_as_a_tree(case):
    words, problem, rest = MISTAKES[case]
    done = CliRunner().invoke(app, words, prog_name="variate")
    assert done.exit_code == 2
    first, *parts = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert problem in first
    assert rest in done.stderr
    assert all(part.startswith(("├─ ", "└─ ")) for part in parts)
    assert not any(word in done.stderr for word in ("Usage:", "Try ", "Input should"))


STUDY = """
title = 3
data = "digits"
network = { digits = [3] }
defenses = ["random", 7]
budgets = 3
seeds = "x"
sead = 2
[training]
epochs = "many"
batch_size = 2.5
lr = -1
[evaluation]
draws = "plenty"
attacks = [3]
deployments = "single"
"""
FINDINGS = [
    "title is 3, expected text",
    "network.digits.0 is 3, expected text",
    "defenses.1 is 7, expected a table",
    "budgets.0 is 3, expected text",
    "seeds.0 is 'x', expected a whole number",
    "training.epochs is 'many', expected a whole number",
    "training.lr is -1, expected at least 0",
    "training.batch_size is 2.5, expected a whole number",
    "evaluation.attacks.0 is 3, expected text or a table",
    "evaluation.draws: a study needs a number of draws, at least 1",
    "evaluation.deployments is 'single', expected a list",
    "sead: there is no such option; did you mean 'seed'?",
]


def test_everything_wrong_with_a_study_is_told_in_our_words(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY)
    done = CliRunner().invoke(app, ["study", str(tmp_path / "s.toml"), "--out", str(tmp_path / "o"), "--quiet"])
    assert done.exit_code == 2, done.output
    first, *parts = done.stderr.splitlines()
    assert first == f"error: {tmp_path / 's.toml'} is not a study"
    assert sorted(part[3:] for part in parts) == sorted(FINDINGS)
