"""A training that was killed goes on to the very numbers of one that was not, with every option on at once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).parents[1] / "killed.py"


def start(mode: str, average: str, folder: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), mode, average, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)


@pytest.mark.parametrize(("average", "when"), [("ema", "epoch"), ("swa", "epoch"), ("ema", "saving")])
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, average, when):
    killed = start(when, average, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    state = load_file(tmp_path / "state.safetensors")
    owners = {name.partition(".")[0] for name in state}
    assert owners == {"network", "average", "best", "optimizer"}
    for mode in ("resumed", "whole"):
        done = start(mode, average, tmp_path)
        assert done.returncode == 0, done.stderr
    expected, found = (json.loads((tmp_path / f"{mode}.json").read_text()) for mode in ("whole", "resumed"))
    assert found == expected
    assert len(found["losses"]) == len(found["robust"]) > 3
    assert len(found["curve"]) == 2 * len(found["losses"])
    whole, resumed = (load_file(tmp_path / f"{mode}.tensors") for mode in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name
    last, again = (load_file(tmp_path / name) for name in ("whole.safetensors", "state.safetensors"))
    for name, tensor in last.items():  # the state after the last epoch too: averages, best epoch, momentum
        assert torch.equal(tensor, again[name]), name
