"""``variate data``: what is printed, its JSON, and its exit codes; and ``variate audit`` on a folder of pictures."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from variate.cli.main import app


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def pictures(tmp_path):
    number = 0
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for _ in range(20):
            shades = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
            Image.fromarray(shades).save(tmp_path / "pictures" / name / f"{number}.jpg", quality=95)
            number += 1
    return tmp_path / "pictures"


def test_a_folder_of_pictures_is_shown(pictures):
    done = run("data", f"{pictures}/")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == f"{pictures}/, read as images: image, 3 x 6 x 6, usual budget linf:8/255"
    assert "  cat      16            2      2" in lines
    assert "  all      32            4      4" in lines
    assert "duplicates: none" in lines
    start = lines.index("examples of the training split")
    assert len(lines[start + 1].split("   ")) >= 4  # beside each other
    assert len(lines[start:]) == 2 + 6  # a pixel is two characters wide


def test_the_json_holds_everything(pictures):
    told = json.loads(run("data", pictures, "--json").stdout)
    assert told["classes"]["dog"] == {"train": 16, "validation": 2, "test": 2}
    assert told["kind"] == "image"
    assert len(told["examples"]) == 4
    assert told["error"] is None


def test_a_table_that_cannot_be_used_is_shown_and_the_reason_told(tmp_path):
    rows = [f"{i},{'a' if i % 2 else 'b'}" for i in range(40)]
    rows[4] = "none,a"
    (tmp_path / "t.csv").write_text("\n".join(["age,label", *rows]))
    done = run("data", "csv", "--data-folder", tmp_path / "t.csv")
    assert done.exit_code == 1
    assert "  age   line 6: 'none'" in done.stdout.splitlines()
    assert "has values that its features do not allow" in done.stderr
    told = run("data", tmp_path / "t.csv", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["error"]["findings"]


@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("digitz", 2, "did you mean 'digits'"),
        ("nowhere/", 1, "there is nothing at nowhere/"),
        ("own_nowhere.py:data", 2, "there is no file own_nowhere.py"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, what, code, message):
    monkeypatch.chdir(tmp_path)
    done = run("data", what)
    assert done.exit_code == code
    assert message in done.stderr


NETWORK = "from torch import nn\n\ndef network():\n    return nn.Sequential(nn.Flatten(), nn.Linear(108, 2))\n"
TABLE = """
from sklearn.datasets import load_iris
from torch import nn

def data():
    return load_iris()

def network():
    return nn.Linear(4, 3)
"""


def test_a_network_of_ones_own_is_judged_on_all_pictures_of_a_folder(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_for_pictures.py").write_text(NETWORK)
    words = ["--suite", "none", "--attack", "fgsm", "--no-doubts", "--quiet", "--json", "--out", tmp_path / "run"]
    done = run("audit", "own_for_pictures.py:network", "--data", "pictures/", *words)
    assert done.exit_code == 0, done.output
    assert {row["examples"] for row in json.loads(done.stdout)["rates"]} == {40}


@pytest.mark.filterwarnings("ignore:the columns of")
def test_a_table_of_ones_own_code_is_judged_as_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_for_tables.py").write_text(TABLE)
    words = ["--suite", "none", "--attack", "fgsm", "--no-doubts", "--quiet", "--json", "--out", tmp_path / "run"]
    source = "own_for_tables.py"
    done = run("audit", f"{source}:network", "--data", f"{source}:data", "--budget", "features:*=5%", *words)
    assert done.exit_code == 0, done.output
    assert {row["examples"] for row in json.loads(done.stdout)["rates"]} == {150}


def test_a_network_is_trained_on_a_folder_of_pictures_and_judged_on_its_test_split(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--network", "mlp", "--defense", "deterministic", "--epochs", 1, "--quiet", "--out", "run"]
    done = run("train", "--data", "pictures/", *words)
    assert done.exit_code == 0, done.output
    done = run("attack", "run", "--attack", "fgsm", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    assert {row["examples"] for row in json.loads(done.stdout)["rates"]} == {4}
