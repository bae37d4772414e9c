"""``variate list``: by kind, by modality, by both."""

import json

import pytest
from typer.testing import CliRunner

from variate import registry
from variate.cli.main import app


def run(*words):
    return CliRunner().invoke(app, ["list", *words])


@pytest.mark.parametrize("modality", registry.entries("modalities"))
def test_what_works_on_a_modality_is_listed_by_kind(modality):
    listed = json.loads(run("--modality", modality, "--json").stdout)
    assert list(listed) == ["attacks", "datasets", "networks", "modalities"]
    for kind, entries in listed.items():
        names = {entry["name"] for entry in entries}
        for name, entry in registry.entries(kind).items():
            serves = name if kind == "modalities" else entry.facts["modality"]
            assert (name in names) is (modality in ([serves] if isinstance(serves, str) else serves)), (kind, name)
    shown = run("--modality", modality).stdout
    assert all(entry["name"] in shown and entry["summary"] in shown for entry in listed["networks"])


def test_one_kind_is_listed_for_a_modality():
    names = [entry["name"] for entry in json.loads(run("networks", "--modality", "tabular", "--json").stdout)]
    assert names == ["ft-transformer", "mlp"]
    assert [line.split()[0] for line in run("networks", "--modality", "tabular").stdout.splitlines()[::2]] == names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "there is nothing to list"),
        (["--modality", "tabula"], "did you mean 'tabular'"),
        (["flags", "--modality", "tabular"], "flags work with every modality"),
        (["netwroks", "--modality", "tabular"], "did you mean 'networks'"),
    ],
)
def test_what_cannot_be_listed_is_explained(words, says):
    done = run(*words)
    assert done.exit_code == 2
    assert says in done.output
