"""Options that stand once: a field of a dataclass is an option in Python, on the command line and in a study."""

import inspect
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
import torch
import typer
from pydantic import ValidationError, create_model
from torch import nn
from typer.testing import CliRunner

from variate.cli.evaluation_command import STANDARD
from variate.cli.from_fields import Only, from_fields
from variate.cli.main import app
from variate.errors import UsageError
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.fields import MISSING, built, defaults_of, option, options_of, overridden, takes_options
from variate.records.file import Records
from variate.study.file import OF_THE_COMMAND, OF_THE_GRID, Study, settings_of
from variate.study.grid import places
from variate.training.cell import Cell
from variate.training.recipe import NEUTRAL, Recipe
from variate.training.train import train

COMMANDS = typer.main.get_command(app).commands
STUDY = {"title": "t", "data": "digits", "network": "mlp", "defenses": ["at"], "budget": "linf:0.1"}


@dataclass(frozen=True)
class Longer(Recipe):
    """A recipe with one more field, and nothing else anywhere."""

    clip: float | None = option(None, "largest norm of a {unit}", unit="gradient", at_least=1)
    order: Literal["shuffled", "sorted"] = option("shuffled", "shuffled or sorted")


@dataclass(frozen=True)
class Place:
    recipe: Longer = Longer()
    rank: int = option(0, "which process")


@takes_options(Longer)
def trained(*, recipe: Longer = Longer(), **overrides) -> Longer:
    """Train."""
    return overridden(recipe, overrides, trained)


def test_a_new_field_is_an_argument_in_python():
    assert inspect.signature(trained).parameters["clip"].default is None
    assert "clip: Largest norm of a gradient." in trained.__doc__
    assert trained(clip=2.0) == Longer(clip=2.0)
    assert trained(recipe=Longer(epochs=3), order="sorted") == Longer(epochs=3, order="sorted")
    with pytest.raises(UsageError, match="did you mean 'clip'"):
        trained(clipp=2.0)


def test_a_new_field_is_an_option_of_a_command():
    made, tool = [], typer.Typer(rich_markup_mode=None)

    def command(place: Place) -> None:
        made.append(place)

    tool.command()(from_fields(command))
    run = CliRunner().invoke
    assert run(tool, ["--clip", "2", "--order", "sorted", "--rank", "1", "--epochs", "4"]).exit_code == 0
    assert run(tool, []).exit_code == 0
    assert made == [Place(Longer(clip=2.0, order="sorted", epochs=4), 1), Place()]
    shown = " ".join(run(tool, ["--help"]).stdout.split())
    assert "Largest norm of a gradient." in shown
    assert "shuffled or sorted." in shown
    assert run(tool, ["--clip", "0.5"]).exit_code == 2


def test_a_new_field_is_a_line_of_a_toml_file():
    table = create_model("Table", **settings_of(Place, without=("rank",), given=False))
    assert table.model_validate({"clip": 2, "order": "sorted"}).model_dump(exclude_unset=True) == {
        "clip": 2.0,
        "order": "sorted",
    }
    assert built(Place, {"clip": 2.0}) == Place(Longer(clip=2.0))
    assert "rank" not in table.model_fields
    with pytest.raises(ValidationError):
        table.model_validate({"clip": 0.5})


def typed_defaults(command: str) -> dict[str, object]:
    """The defaults of a command by the name of the field."""
    return {parameter.name: parameter.default for parameter in COMMANDS[command].params}


def test_every_default_of_a_training_is_the_same_in_python_on_the_command_line_and_in_a_study():
    usual, typed = defaults_of(Recipe), typed_defaults("train")
    signature = inspect.signature(train).parameters
    (place,) = places(Study.model_validate({**STUDY, "evaluation": {}}), Path("out")).values()
    assert set(usual) == {field.name for field in fields(Recipe)}
    assert {name: typed[name] for name in usual if name != "priors"} | {"priors": ()} == usual
    assert typed["prior"] is None  # repeatable, in the singular
    assert {name: signature[name].default for name in usual} == usual
    assert place.cell.recipe == replace(Recipe(), budget="linf:0.1")
    assert usual["attack_steps"] == 10
    own = {one.name: one.default for one in options_of(Cell) if one.default is not MISSING}
    assert {name: typed[name] for name in own if name != "priors"} | {"priors": ()} == own
    assert {one.option.singular or one.name for one in options_of(Cell)} <= set(typed)
    assert place.cell == Cell("digits", "mlp", "at", place.cell.recipe)


def test_every_option_of_a_training_can_stand_in_a_study_but_what_its_grid_and_its_command_say():
    known = {one.name for one in options_of(Cell)} - {*OF_THE_GRID, *OF_THE_COMMAND}
    assert set(Study.model_fields["training"].annotation.model_fields) == known
    numbers = {field.name for field in fields(Recipe)} - {*NEUTRAL}
    assert set(Recipe(priors=("*: normal",)).numbers()) == numbers
    assert set(Recipe().numbers()) == numbers - {"priors"}  # as in cards before there were priors


def test_every_default_of_an_evaluation_is_the_same_in_python_on_the_command_line_and_in_a_study():
    usual = defaults_of(Evaluation)
    assert {name: inspect.signature(evaluate).parameters[name].default for name in usual} == usual
    assert {name: inspect.signature(doubt).parameters[name].default for name in usual} == usual
    assert Study.model_validate({**STUDY, "evaluation": {}}).evaluation.options(0) == replace(
        Evaluation(), attacks=[], deployments=list(usual["deployments"]), metrics=[]
    )
    as_typed = {"draws": "20", "deployment": list(usual["deployments"])}
    attack = typed_defaults("attack")
    for name in ("budget", "verdict_draws", "batch_size", "memory", "seed"):
        assert attack[name] == usual[name]
    assert {name: attack[name] for name in as_typed} == as_typed
    assert typed_defaults("evaluate").items() >= {"suite": "standard", "draws": "auto", "batch_size": 128}.items()
    shared = {"budget", "attack", "suite", "target", "draws", "verdict_draws", "deployment", "batch_size", "memory"}
    shared |= {"metric", "keep_inputs", "require"}
    shared |= {"time_limit", "seed", "examples", "data_folder", "accelerator", "layers", "doubts", "devices"}
    one, other = typed_defaults("evaluate"), typed_defaults("audit")
    assert {name: one[name] for name in shared} == {name: other[name] for name in shared}
    changed = {name for name, value in defaults_of(STANDARD).items() if value != usual[name]}
    assert changed == {"suite", "attacks", "draws", "batch_size"}  # said in one place, for a whole evaluation


def test_what_is_typed_in_other_words_or_units_is_what_python_has():
    made = []

    def command(evaluation: Annotated[Evaluation, Only(without=("seed",), needed=("budget",))] = STANDARD) -> None:
        made.append(evaluation)

    tool = typer.Typer()
    tool.command()(from_fields(command))
    words = ["--budget", "l2:1", "--memory", "3", "--suite", "none", "--draws", "7", "--deployment", "single"]
    assert CliRunner().invoke(tool, words).exit_code == 0
    assert made == [
        replace(STANDARD, budget="l2:1", memory=3_000_000, suite=None, draws=7, deployments=("single",), attacks=())
    ]
    assert CliRunner().invoke(tool, ["--memory", "3"]).exit_code == 2  # no budget
    assert CliRunner().invoke(tool, ["--budget", "l2:1", "--seed", "1"]).exit_code == 2
    evaluation = Study.model_validate({**STUDY, "evaluation": {"memory": 3}}).evaluation
    assert evaluation.options(4) == replace(
        Evaluation(), attacks=[], deployments=list(Evaluation.deployments), metrics=[], memory=3_000_000, seed=4
    )


def linear() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.rand(6, 1, 4, 4), torch.arange(6) % 3


def test_names_that_no_option_has_are_refused_with_the_nearest():
    network, x, y = linear()
    with pytest.raises(UsageError, match="did you mean 'epochs'"):
        train(network, [(x, y)], epoch=1)
    with pytest.raises(UsageError, match="did you mean 'validation'"):
        train(network, [(x, y)], validaton=(x, y))
    with pytest.raises(UsageError, match="did you mean 'verdict_draws'"):
        evaluate(network, x, y, budget="linf:0.1", verdict_draw=20)
    with pytest.raises(UsageError, match="did you mean 'show_progress'"):
        evaluate(network, x, y, budget="linf:0.1", show_progres=True)
    with pytest.raises(UsageError, match="did you mean 'budget'"):
        doubt(network, x, y, records=Records(), name="n", budgett="linf:0.1")


def test_a_dataclass_and_arguments_by_name_say_the_same():
    networks, histories = [linear()[0], linear()[0]], []
    _, x, y = linear()
    histories.append(train(networks[0], [(x, y)], epochs=2, lr=0.1, seed=3, accelerator="cpu"))
    recipe = Recipe(epochs=5, lr=0.1, seed=3, accelerator="cpu")
    histories.append(train(networks[1], [(x, y)], recipe=recipe, epochs=2))
    assert histories[0] == histories[1]
    asked = Evaluation(budget="linf:0.1", attacks=["fgsm"], seed=2, deployments=["single"])
    whole = evaluate(networks[0], x, y, evaluation=asked)
    named = evaluate(networks[0], x, y, budget="linf:0.1", attacks=["fgsm"], seed=2, deployments=["single"])
    assert [row.rate for row in whole.rows] == [row.rate for row in named.rows]
    assert list(whole.records.claims) == list(named.records.claims)


def test_an_evaluation_needs_a_budget_and_numbers_as_large_as_they_must_be():
    network, x, y = linear()
    with pytest.raises(UsageError, match="needs a budget"):
        evaluate(network, x, y, attacks=["fgsm"])
    with pytest.raises(UsageError, match="batch_size is 0"):
        evaluate(network, x, y, budget="linf:0.1", batch_size=0)


WRONG = """
from variate.evaluation.evaluation import Evaluation
from variate.training.recipe import Recipe

Recipe(epochs=3, optimizer="sgd", ema=None)
Recipe(epoch=3)
Recipe(epochs="three")
Recipe(optimizer="sdg")
Evaluation(budget="linf:0.1", attacks=["pgd", {"name": "fgsm"}], draws="auto")
Evaluation(attacks=3)
Evaluation(draws="many")
Evaluation(how="loop")
"""


@pytest.mark.slow
def test_a_type_checker_sees_what_is_wrong_with_an_option(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n[mypy-torch.*]\nfollow_imports = skip\n")  # it is large
    words = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path / "cache"), str(path)]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if line.startswith(str(path)) and ": error:" in line]
    lines = [int(line.removeprefix(str(path)).split(":")[1]) for line in errors]
    assert sorted(set(lines)) == [6, 7, 8, 10, 11, 12], done.stdout + done.stderr
