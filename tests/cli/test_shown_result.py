"""What the commands print at the end: the table on any terminal, the winners of a suite, and the verdict last."""

import json
import re

import pytest
from typer.testing import CliRunner

from variate.cli.main import app

TRAIN = ["train", "--data", "digits", "--network", "mlp", "--epochs", "2", "--quiet"]
BRIEF = ["--examples", 20, "--draws", 2, "--verdict-draws", 32, "--quiet"]


def run(*words, **environment):
    return CliRunner().invoke(app, [str(word) for word in words], env=environment)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for defense in ("deterministic", "random"):
        assert run(*TRAIN, "--defense", defense, "--out", folder / defense).exit_code == 0
    return folder


def test_an_evaluation_ends_with_its_winners_and_the_verdict_in_three_lines(runs):
    words = ["evaluate", runs / "random", "--suite", "quick", "--no-doubts", *BRIEF]
    done = run(*words)
    assert done.exit_code == 0, done.output
    *_, winners, costs, files, empty, claim, rates, basis = done.stdout.splitlines()
    assert re.match(r"quick: the worst input is that of \S+ on \d+ %", winners)
    assert sum(map(int, re.findall(r"on (\d+) %", winners))) in range(98, 103)
    assert re.match(r"quick: [\d,]+ forward \+ \d+ backward passes an example", costs)
    assert files.startswith("every answer: ")
    assert empty == ""
    assert json.loads(run(*words, "--json").stdout)["verdict"] == [claim, rates, basis]
    assert "`random mlp`" in rates


def test_a_table_of_deterministic_networks_does_not_speak_of_draws(runs):
    done = run("attack", runs / "deterministic", "--attack", "fgsm", "--budget", "linf:0.1", *BRIEF, COLUMNS="100")
    table = done.stdout.partition("every answer")[0]
    assert "fgsm" in table
    assert "draw" not in table.partition("note:")[0]


@pytest.mark.parametrize("columns", [30, 40, 60, 80])
@pytest.mark.parametrize("defense", ["deterministic", "random"])
def test_no_number_is_broken_or_cut_on_a_narrow_terminal(runs, defense, columns):
    run("attack", runs / defense, "--attack", "fgsm", "--budget", "linf:0.1", *BRIEF)
    rates = json.loads(run("report", runs / defense, "--json").stdout)
    said = run("report", runs / defense, COLUMNS=str(columns)).stdout
    assert "…" not in said
    for row in rates:
        assert re.search(rf"(?<![\d.]){100 * row['rate']:.1f}(?![\d.])", said), (row["rate"], said)
        assert re.search(rf"\[?{100 * row['low']:.0f}(-|, ){100 * row['high']:.0f}", said), said
