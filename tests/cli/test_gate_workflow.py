"""The example workflow: its steps run as GitHub runs them, on a network that meets the requirements."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import yaml
from pages import ROOT
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.evaluation.processes import spawn

MINE = """
import torch
import variate

def network():
    layer = torch.nn.Linear(9, 2)
    with torch.no_grad():  # the brightness of the picture decides, far from the threshold
        layer.weight.copy_(torch.tensor([[-4.0], [4.0]]).expand(2, 9))
        layer.bias.copy_(torch.tensor([18.0, -18.0]))
    return variate.randomize(torch.nn.Sequential(torch.nn.Flatten(), layer), scale=0.1)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    x = rng.uniform(0.15, 0.35, (30, 1, 3, 3)) + 0.5 * y[:, None, None, None]
    np.savez(tmp_path / "mine.npz", x=x.astype(np.float32), y=y)
    tools = tmp_path / "tools"  # the command of this Python, before any other of that name
    tools.mkdir()
    (tools / "variate").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m variate "$@"\n')
    (tools / "variate").chmod(0o755)
    return tmp_path


def test_the_steps_of_the_example_workflow_run(folder):
    steps = yaml.safe_load((ROOT / "examples/robustness.yml").read_text())["jobs"]["gate"]["steps"]
    install, *runs = [step for step in steps if "run" in step]
    assert install["run"] == "pip install -r requirements.txt"  # there is nothing to install here
    summary = folder / "summary.md"
    environment = {
        **os.environ,
        "PATH": f"{folder / 'tools'}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(variate.__file__).parent.parent),
        "GITHUB_STEP_SUMMARY": str(summary),
        "OMP_NUM_THREADS": "1",
    }
    for step in runs:
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as GitHub runs them
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (step["name"], done.stdout, done.stderr)
    assert summary.read_text().startswith("### All requirements are met\n")
    suites = Xml.parse(folder / "junit.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("3", "0")
    kept = [path for step in steps if "with" in step for path in str(step["with"].get("path", "")).split()]
    assert kept
    assert all((folder / path).is_file() for path in kept)


AUDIT = [
    *("audit", "mine.py:network", "--data", "mine.npz", "--mode", "eval", "--out", "a", "--quiet", "--no-doubts"),
    *("--budget", "linf:0.05", "--suite", "none", "--attack", "fgsm", "--draws", "2", "--verdict-draws", "32"),
]


def test_an_audit_says_what_falls_short_and_ends_with_3(folder, monkeypatch):
    monkeypatch.chdir(folder)
    run = CliRunner().invoke
    wrong = run(app, [*AUDIT, "--require", "survive10>=40"])
    assert wrong.exit_code == 2
    assert not (folder / "a").exists()  # before any work
    done = run(app, [*AUDIT, "--require", "survive-10>=50", "--require", "single>=95"])
    assert done.exit_code == 3, done.output
    met, short = done.stdout.splitlines()[-2:]
    assert met.startswith("survive-10>=50: met: mine.py:network, survive-10 under fgsm at linf:0.05: 100.0 % [")
    assert short.startswith("single>=95: falls short: ")
    assert "on 30 examples and 32 draws; needed: at least 72 examples and 72 verdict draws" in short
    done = run(app, [*AUDIT, "--require", "survive-20>=50", "--json"])
    assert done.exit_code == 2
    assert "survive-10 under fgsm" in done.stderr
    done = run(app, [*AUDIT, "--require", "single>=95", "--json"])
    assert done.exit_code == 3
    (judgment,) = json.loads(done.stdout)["requirements"]
    assert (judgment["holds"], judgment["value"], judgment["examples"]) == (False, 1.0, 30)


@pytest.mark.parametrize(("codes", "status"), [((0, 0), 0), ((3, 0), 3), ((3, 1), None)])
def test_several_processes_end_as_one_does(monkeypatch, codes, status):
    class Process:
        def __init__(self, *_, env):
            self.rank = int(env["RANK"])

        def wait(self):
            return codes[self.rank]

    monkeypatch.setattr(subprocess, "Popen", Process)
    if status is None:
        with pytest.raises(variate.VariateError, match="1 of 2"):
            spawn([], 2)
    else:
        assert spawn([], 2) == status
