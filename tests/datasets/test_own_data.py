"""Data of the user's own: files, pairs, data sets of PyTorch and of Hugging Face's kind, from training to verdict."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.datasets.load import labelled
from variate.errors import DataError, UsageError

SOURCE = '''
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

COUNT = 60
generator = torch.Generator().manual_seed(0)
x, y = torch.rand(COUNT, 1, 8, 8, generator=generator), torch.arange(COUNT) % 3

def pair():
    return x, y

def parts(split):
    at = {"train": slice(0, 40), "validation": slice(40, 50), "test": slice(50, 60)}[split]
    return x[at], y[at]

def tensors():
    return TensorDataset(x, y)

class Rows(Dataset):
    """As Hugging Face's datasets give them: mappings with pictures."""

    def __len__(self):
        return COUNT

    def __getitem__(self, i):
        if i >= COUNT:
            raise IndexError
        return {"image": Image.fromarray((x[i, 0].numpy() * 255).astype(np.uint8)), "label": int(y[i])}

def rows():
    return Rows()

def uneven():
    return [(torch.zeros(1, 8, 8), 0), (torch.zeros(1, 8, 9), 1)]

def strange():
    return [1, 2, 3]

def table():
    return torch.rand(COUNT, 5, generator=torch.Generator().manual_seed(1)), y
'''


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "mydata.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import mydata

    yield mydata
    import sys

    sys.modules.pop("mydata", None)


def test_pairs_and_data_sets_give_the_same(own):
    x, y = labelled("mydata:pair")
    assert torch.equal(x, own.x)
    for name in ("tensors", "rows"):
        other, labels = labelled(f"mydata:{name}")
        assert torch.equal(labels, y)
        torch.testing.assert_close(other, x, atol=1 / 255, rtol=0)


def test_splits_are_asked_for_or_cut_once_for_all(own):
    assert torch.equal(labelled("mydata:parts", split="test", cut=True)[0], own.x[50:])
    cut = {split: labelled("mydata:pair", split=split, cut=True)[0] for split in ("train", "validation", "test")}
    assert [len(part) for part in cut.values()] == [48, 6, 6]
    rows = {row.numpy().tobytes() for part in cut.values() for row in part}
    assert len(rows) == 60


def test_the_facts_are_those_of_the_training_split(own):
    facts = variate.about("mydata:parts")
    assert (facts.kind, facts.shape, facts.classes, facts.budget) == ("image", (1, 8, 8), 3, "")
    assert facts.mean[0] == pytest.approx(float(own.x[:40].mean()), abs=1e-5)
    table = variate.about("mydata:table")
    assert (table.kind, table.shape, len(table.mean)) == ("tabular", (5,), 5)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("uneven", DataError, "different shapes"), ("strange", UsageError, "an example of mydata:strange is int")],
)
def test_a_data_set_that_is_none_is_explained(name, error, message):
    with pytest.raises(error, match=message):
        labelled(f"mydata:{name}")


@pytest.mark.parametrize("data", ["mydata:rows", "mydata:table", "npz"])
def test_training_and_evaluation_from_the_command_line(data, tmp_path, own):
    if data == "npz":
        data = str(tmp_path / "d.npz")
        np.savez(data, x=own.x.numpy(), y=own.y.numpy())

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    train = ["train", "--data", data, "--network", "mlp", "--defense", "random-at", "--epochs", 1, "--quiet"]
    refused = run(*train, "--out", tmp_path / "none")
    assert refused.exit_code == 2
    assert "needs a budget" in refused.stderr
    done = run(*train, "--budget", "linf:0.1", "--attack-steps", 1, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    attack = ["attack", tmp_path / "run", "--attack", "pgd(steps=2)", "--draws", 2, "--verdict-draws", 8]
    attack += ["--deployment", "single", "--quiet", "--json"]
    if ":" in data:
        assert "--trust-code" in run(*attack, "--budget", "linf:0.1").stderr
    assert "pass --budget" in run(*attack, "--trust-code").stderr
    done = run(*attack, "--budget", "linf:0.1", "--trust-code")
    assert done.exit_code == 0, done.output
    assert {row["examples"] for row in json.loads(done.stdout)["rates"]} == {6}
