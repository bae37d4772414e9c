"""``--detector``: an audit of a deployment that rejects similar queries, and its report."""

import json

import pytest
from typer.testing import CliRunner

from variate.cli.main import app

OWN = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

def data():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(2)
"""
DETECTOR = "similar(queries=200)"
AUDIT = ["audit", "behind:network", "--data", "behind:data", "--budget", "l2:0.3", "--suite", "none", "--draws", "1"]
ATTACKS = ["--attack", "hopskipjump(queries=500)", "--attack", "oars(queries=500)"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "behind.py").write_text(OWN)
    return lambda *words: CliRunner().invoke(app, [*map(str, words)], prog_name="variate")


def test_an_audit_behind_a_detector_shows_what_is_rejected(run, tmp_path):
    more = [
        "--verdict-draws",
        "2",
        "--deployment",
        "single",
        "--detector",
        DETECTOR,
        "--no-doubts",
        "--quiet",
        "--json",
    ]
    done = run(*AUDIT, *ATTACKS, *more, "--out", tmp_path / "a")
    assert done.exit_code == 0, done.output
    rows = {row["attack"]: row for row in json.loads(done.stdout)["rates"]}
    assert rows["oars"]["options"] == {"queries": 500, "detector": DETECTOR}
    assert rows["oars"]["rate"] <= rows["hopskipjump"]["rate"]
    report = run("report", tmp_path / "a", "--format", "md")
    assert report.exit_code == 0, report.output
    assert f"detector {DETECTOR}: rejects 0.0 % of the inputs sent once in random order" in report.stdout


def test_a_detector_without_its_adaptive_attack_is_a_mistake(run, tmp_path):
    done = run(*AUDIT, *ATTACKS[:2], "--detector", DETECTOR, "--out", tmp_path / "a")
    assert done.exit_code == 2, done.output
    assert "do: --attack oars" in done.stderr
    assert "Traceback" not in done.output
