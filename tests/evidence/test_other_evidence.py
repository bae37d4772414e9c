"""Evidence of tables, numbers and deterministic networks, and from the command line with a saved network."""

import json
import zipfile
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.errors import UsageError
from variate.evidence.manifest import MANIFEST, README
from variate.inputs.modalities.tabular import Tabular
from variate.records.file import RECORDS, Records

COLUMNS = (
    {"name": "age", "low": 0.0, "high": 100.0},
    {"name": "income", "low": 0.0, "high": 10.0, "mutable": False},
)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def kept(folder, net, x, y, **options):
    variate.evaluate(net, x, y, records=folder / RECORDS, verdict_draws=32, keep_inputs=10**6, **options)
    variate.write_evidence(folder, folder / "e.zip")
    return folder / "e.zip"


def test_numbers_of_a_table_are_judged_again_with_their_scores_and_columns(tmp_path):
    torch.manual_seed(0)
    net = variate.randomize(nn.Linear(2, 1).eval(), scale=0.3)
    x = torch.rand(24, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = variate.mean(net)(x)[:, 0]
    table = {"modality": Tabular(features=COLUMNS), "task": "regression(tolerance=0.05, until=0.5)"}
    path = kept(tmp_path, net, x, y, budget="features:age=5", attacks=["pgd"], draws=2, metrics=["mae"], **table)
    found = variate.verify(path, net, seed=1)
    assert found.holds, str(found)
    assert len(found.rates) == 8
    assert len(found.metrics) == 4  # by single draws and mean-16, clean and attacked
    recorded = [line.value for line in Records(tmp_path / RECORDS).metrics.values() if not line.minus]
    assert sorted(one.recorded.value for one in found.metrics) == sorted(recorded)
    assert all(one.again.value != one.recorded.value for one in found.metrics)  # other draws
    flattering = replace(found.metrics[0], recorded=found.metrics[0].recorded.model_copy(update={"value": 0.0}))
    assert not replace(found, metrics=[flattering]).holds
    assert 0 < found.rates[0].again.rate < 1
    with zipfile.ZipFile(path) as archive:
        (originals,) = json.loads(archive.read(MANIFEST))["originals"].values()
    assert originals["details"]["features"][1]["mutable"] is False


def test_a_deterministic_network_answers_exactly_as_before(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval()
    x, y = torch.rand(20, 1, 2, 2), torch.arange(20) % 3
    found = variate.verify(kept(tmp_path, net, x, y, budget="l2:0.3", attacks=["pgd"]), net)
    assert found.holds
    assert all(rate.again.rate == rate.recorded.rate for rate in found.rates)
    assert not variate.verify(tmp_path / "e.zip", net.train()).holds  # another mode is another network


def test_a_targeted_attack_is_skipped_and_several_networks_are_refused(tmp_path):
    torch.manual_seed(0)
    x, y = torch.rand(8, 1, 2, 2), torch.arange(8) % 3
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).eval() for _ in range(2)]
    aimed = {"name": "pgd", "target": "next", "steps": 2}
    path = kept(tmp_path, nets[0], x, y, budget="linf:0.1", attacks=[aimed, "fgsm"])
    found = variate.verify(path, nets[0])
    assert {rate.recorded.attack for rate in found.rates} == {"clean", "fgsm"}
    assert any("targeted" in words for words in found.skipped)
    variate.evaluate(nets[1], x, y, records=tmp_path / RECORDS, budget="linf:0.1", attacks=["fgsm"], name="b")
    with pytest.raises(UsageError, match="several networks"):
        variate.write_evidence(tmp_path, tmp_path / "f.zip")


def test_a_trained_network_travels_with_its_evidence(tmp_path):
    folder, path = tmp_path / "run", tmp_path / "e.zip"
    train = ["--network", "mlp", "--defense", "random", "--epochs", 1, "--train-examples", 200, "--quiet"]
    assert run("train", "--data", "digits", *train, "--out", folder).exit_code == 0
    brief = ["--suite", "none", "--attack", "fgsm", "--draws", 2, "--verdict-draws", 32, "--examples", 20, "--quiet"]
    judge = ["evaluate", folder, "--budget", "linf:0.1", "--no-doubts", *brief]
    assert run(*judge, "--keep-inputs", 1).exit_code == 0
    done = run("evidence", folder, "--out", path)
    assert done.exit_code == 0, done.output
    assert "with the network" in done.stdout
    done = run("verify", path, "--seed", 2)
    assert done.exit_code == 0, done.output
    assert "8 of 8 numbers hold on fresh draws (seed 2)" in done.stdout
    (tmp_path / "mine.py").write_text("import torch\n\ndef net():\n    return torch.nn.Flatten()\n")
    assert run("evidence", folder, "--out", path, "--no-network").exit_code == 0
    missing = run("verify", path)
    assert missing.exit_code == 2
    assert "--network" in missing.stderr
    other = run("verify", path, "--network", f"{tmp_path / 'mine.py'}:net", "--mode", "eval", "--json")
    assert other.exit_code == 3
    assert [check["holds"] for check in json.loads(other.stdout)["checks"]] == [True, True, True, False]
    assert run("verify", path, "--no-judge").exit_code == 0
    with zipfile.ZipFile(path) as archive:
        page = archive.read(README).decode()
    assert "- Data: digits\n" in page
    assert "defense random, objective" in page
