"""Commands on data and code of the user's own: what is printed can be run, and mistakes are told before any work."""

import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from variate.cli.main import app

TRAIN = ["train", "--defense", "deterministic", "--epochs", "1", "--quiet"]
NETWORK = "from torch import nn\n\ndef network():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


OWN = """
import numpy as np

def pictures():
    return np.random.default_rng(0).random((80, 1, 8, 8)), np.array(["cat", "dog"] * 40)

def rows():
    return np.random.default_rng(0).random((80, 5)), np.arange(80) % 3
"""
MINE = {
    "arrays": ["--data", "mine data.npz", "--network", "mlp"],
    "code": ["--data", "digits", "--network", "./mine_next.py:network"],
    "pictures of code": ["--data", "./mine_next_data.py:pictures", "--network", "./mine_next.py:network"],
    "rows of code": ["--data", "./mine_next_data.py:rows", "--network", "mlp"],
    "a table": ["--data", "csv", "--data-folder", "my tables/t.csv", "--network", "mlp"],
    "texts": ["--data", "texts(length=8)", "--data-folder", "my texts.csv", "--network", "text-cnn"],
}


@pytest.mark.parametrize("kind", MINE)
def test_the_next_command_after_training_runs_as_it_is_printed(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez("mine data.npz", x=random.random((200, 1, 8, 8)), y=np.array(["cat", "dog"] * 100))
    (tmp_path / "mine_next.py").write_text(NETWORK)
    (tmp_path / "mine_next_data.py").write_text(OWN)
    (tmp_path / "my tables").mkdir()
    cells = [f"{a:.3f},{b:.3f},{'high' if a > 0.5 else 'low'}" for a, b in random.random((80, 2))]
    (tmp_path / "my tables" / "t.csv").write_text("\n".join(["a,b,label", *cells]))
    texts = [f"{word} film number {i},{label}" for i in range(60) for word, label in (("good", 1), ("bad", 0))]
    (tmp_path / "my texts.csv").write_text("\n".join(["text,label", *texts]))
    done = run(*TRAIN, *MINE[kind], "--out", "my run")
    assert done.exit_code == 0, done.output
    words = shlex.split(done.stdout.partition("next: variate ")[2])
    words[words.index("standard")] = "quick"  # the other suite, for time
    after = run(*words, "--examples", 5, "--no-doubts", "--draws", 1, "--quiet")
    assert after.exit_code == 0, after.output


@pytest.mark.parametrize(
    "words",
    [
        [*TRAIN, "--network", "mlp", "--data", "digits"],
        ["audit", "torch.nn:Identity", "--data", "digits", "--attack", "fgsm"],
        ["study", "digits"],
    ],
    ids=["train", "audit", "study"],
)
def test_an_out_that_is_a_file_is_told_before_any_work(tmp_path, words):
    (tmp_path / "file").write_text("mine")
    done = run(*words, "--out", tmp_path / "file")
    assert done.exit_code == 2
    assert "is a file, not a folder" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


def test_data_that_means_something_else_than_in_training_is_refused(tmp_path):
    path, rows = tmp_path / "t.csv", np.random.default_rng(0).random((80, 2))

    def write(factor):
        lines = [f"{factor * a:.3f},{b:.3f},{'high' if a > 0.5 else 'low'}" for a, b in rows]
        path.write_text("\n".join(["a,b,label", *lines]))

    write(1)
    done = run(*TRAIN, "--network", "mlp", "--data", "csv", "--data-folder", path, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    write(3)
    done = run("attack", tmp_path / "run", "--data-folder", path, "--attack", "fgsm", "--quiet")
    assert done.exit_code == 2
    assert "is not the data that" in done.stderr
