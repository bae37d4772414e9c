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


OF_ENTRIES = {
    "a defense": (
        ["train", "--data", "digits", "--defense", "random-smoothing", "--sigma", "0.5", "--out", "o"],
        "--sigma is no option of variate train, but one of the defense random-smoothing",
        '--defense "random-smoothing(sigma=0.5)"',
    ),
    "beside another": (
        ["train", "--defense=random-smoothing(levels=255)", "--sigma=0.12"],
        "the defense random-smoothing",
        '--defense "random-smoothing(levels=255, sigma=0.12)"',
    ),
    "the usual one, no value": (["train", "--share"], "the defense random-at", '--defense "random-at(share=element)"'),
    "a part of an objective": (
        ["train", "--objective", "adversarial(draws=4)+snr:0.5", "--target", "20"],
        "--target is no option",
        '--objective "adversarial(draws=4)+snr(target=20):0.5"',
    ),
    "a network": (["train", "--network", "mlp", "--hidden", "64"], "the network mlp", '--network "mlp(hidden=64)"'),
    "an attack of several": (
        ["evaluate", "a", "--attack", "fgsm", "--attack", "pgd", "--restarts", "3"],
        "the attack pgd",
        '--attack "pgd(restarts=3)"',
    ),
}


@pytest.mark.parametrize("case", OF_ENTRIES)
def test_an_option_of_an_entry_is_told_how_it_is_written(case):
    words, problem, todo = OF_ENTRIES[case]
    done = CliRunner().invoke(app, words, prog_name="variate")
    assert done.exit_code == 2
    assert problem in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[-1] == f"└─ do: {todo}"


def test_a_typo_is_no_option_of_an_entry():
    done = CliRunner().invoke(app, ["train", "--defense", "no-such", "--epoch", "2"], prog_name="variate")
    assert "mean '--epochs'" in done.stderr


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
