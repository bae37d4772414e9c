"""Commands on data and code of the user's own: what is printed can be run, and mistakes are told before any work."""

import shlex

import numpy as np
import pytest
from typer.testing import CliRunner

from variate.cli.main import app

TRAIN = ["train", "--network", "mlp", "--defense", "deterministic", "--epochs", "1", "--quiet"]
NETWORK = "from torch import nn\n\ndef network():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize(("data", "network"), [("mine data.npz", "mlp"), ("digits", "./mine_next.py:network")])
def test_the_next_command_after_training_runs_as_it_is_printed(tmp_path, monkeypatch, data, network):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((200, 1, 8, 8))
    np.savez("mine data.npz", x=x, y=np.array(["cat", "dog"] * 100))
    (tmp_path / "mine_next.py").write_text(NETWORK)
    done = run(*TRAIN, "--data", data, "--network", network, "--out", "my run")
    assert done.exit_code == 0, done.output
    words = shlex.split(done.stdout.partition("next: variate ")[2])
    words[words.index("standard")] = "quick"  # the other suite, for time
    after = run(*words, "--examples", 5, "--no-doubts", "--draws", 1, "--quiet")
    assert after.exit_code == 0, after.output


@pytest.mark.parametrize(
    "words",
    [
        [*TRAIN, "--data", "digits"],
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
    done = run(*TRAIN, "--data", "csv", "--data-folder", path, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    write(3)
    done = run("attack", tmp_path / "run", "--data-folder", path, "--attack", "fgsm", "--quiet")
    assert done.exit_code == 2
    assert "is not the data that" in done.stderr
