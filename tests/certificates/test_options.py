"""One list of options: of certify, of judging certified-R, of the command and of studies."""

import inspect
from dataclasses import fields

import pytest
import torch
from torch import nn
from typer.main import get_command

from variate.certificates.certification import Casting, Certification
from variate.certificates.certify import certify
from variate.certificates.judge_certified import USUAL, judge_certified
from variate.cli.main import app
from variate.errors import UsageError
from variate.study.file import Certification as Table

NAMES = {item.name for item in fields(Certification)}


def test_functions_command_and_studies_have_the_same_options_and_defaults():
    of_python = inspect.signature(certify).parameters
    assert {name: of_python[name].default for name in NAMES} == vars(Certification())
    of_judging = inspect.signature(judge_certified).parameters
    assert {name: of_judging[name].default for name in vars(USUAL)} == vars(Casting(batch_size=100))
    of_command = {parameter.name: parameter for parameter in get_command(app).commands["certify"].params}
    assert NAMES - {"deployments"} | {"deployment"} <= set(of_command)
    assert of_command["draws"].default == Certification().draws
    table = Table(mechanism="gaussian", radii=[0.5])
    assert set(Table.model_fields) == NAMES - {"batch_size", "seed", "early_stop"} | {"examples"}
    options = table.options("digits", seed=3)
    assert (options.radii, options.seed, options.deployments) == ([0.5], 3, list(Certification().deployments))
    assert options.alpha == Certification().alpha


def test_an_argument_that_does_not_exist_is_named():
    net, x, y = nn.Linear(4, 2), torch.rand(2, 4), torch.zeros(2, dtype=torch.long)
    with pytest.raises(UsageError, match="no argument of certify named 'draw'") as error:
        certify(net, x, y, draw=10)
    assert "did you mean 'draws'?" in str(error.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("draws", 0),
        ("draws", 1.5),
        ("votes_of", True),
        ("batch_size", -1),
        ("alpha", 0),
        ("alpha", 1.0),
        ("alpha", "a"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_both(option, value):
    net, x, y = nn.Linear(4, 2), torch.rand(2, 4), torch.zeros(2, dtype=torch.long)
    for call in (certify, lambda *a, **k: judge_certified(*a, radius=0.1, budgets=["l2:0.1"], **k)):
        with pytest.raises(UsageError, match=f"{option} is "):
            call(net, x, y, **{option: value})
