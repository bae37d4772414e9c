"""Studies in several processes and from the command line: whatever is killed, the records are those of one process."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from grids import answers_in, facts, holding, run, study
from typer.testing import CliRunner

from variate.cli.main import app
from variate.study.file import read_study
from variate.study.grid import progress_of
from variate.study.running import Where
from variate.study.work import Order, Task, work


def start(file: Path, out: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "variate", "study", str(file), "--out", str(out), "--quiet", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_until(condition, process):
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)


SLOW = """
title = "Grid"
data = "digits"
network = "mlp"
defenses = ["deterministic", "random"]
budget = "linf:0.1"
training = { epochs = 1 }

[evaluation]
examples = 40
batch_size = 4
draws = 1
verdict_draws = 4
deployments = ["single"]
attacks = [{ name = "pgd", steps = 200 }]
"""


@pytest.fixture
def slow(tmp_path):
    """Two networks whose attacks take a moment, as a file and by themselves."""
    file = tmp_path / "slow.toml"
    file.write_text(SLOW)
    return file, read_study(str(file))


@pytest.mark.slow
def test_processes_write_the_records_of_one_and_tell_what_they_do(tmp_path, capfd):
    chosen = study(seeds=[0])
    run(chosen, tmp_path / "several", where=Where(workers=2), show_progress=True)
    said = capfd.readouterr().err.splitlines()
    for name in ("deterministic", "random"):
        begins = said.index(f"{name}: begins")
        assert any(re.match(rf"training {name}: 0/1", line) for line in said[begins:])
        assert any(re.match(rf"{name}: fgsm: \d", line) for line in said[begins:])
    run(chosen, tmp_path / "one")
    assert facts(tmp_path / "several") == facts(tmp_path / "one")


@pytest.mark.slow
def test_a_killed_study_takes_its_processes_along_and_goes_on_to_the_same_records(slow, tmp_path):
    file, chosen = slow
    out, place = tmp_path / "out", tmp_path / "out" / "random"
    process = start(file, out, "--workers", "2")
    wait_until(lambda: answers_in(place) > 402, process)  # the whole split, and some of the table
    process.send_signal(signal.SIGKILL)
    process.communicate()  # until its processes have ended too
    before = answers_in(place)
    run(chosen, out)  # the locks are free as soon as the processes are gone
    run(chosen, tmp_path / "whole")
    assert before < answers_in(place)
    assert facts(out) == facts(tmp_path / "whole")


ENDLESS = SLOW.replace("epochs = 1 ", "epochs = 1000000 ")


@pytest.mark.slow
def test_an_interrupt_of_the_main_process_alone_stops_a_study(tmp_path):
    file, out = tmp_path / "endless.toml", tmp_path / "out"
    file.write_text(ENDLESS)
    process = start(file, out, "--workers", "2")
    state = out / "random" / "training.safetensors"
    wait_until(state.exists, process)
    workers = [child for place in ("random", "deterministic") for child in holding(out / place / "lock")]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()  # the training itself would never end
    assert process.returncode == 130, said
    assert "run the same command again" in said
    assert state.exists()
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


@pytest.mark.slow
def test_a_process_that_dies_fails_its_own_network_only(slow, tmp_path):
    file, chosen = slow
    out, place = tmp_path / "out", tmp_path / "out" / "random"
    process = start(file, out, "--workers", "2")
    wait_until(lambda: answers_in(place) > 402, process)
    for child in holding(place / "lock"):
        os.kill(child, signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == 1
    assert "random: its process was killed" in said
    assert progress_of(chosen, out) == {"deterministic": "done", "random": "trained, judging begun"}
    run(chosen, out)
    run(chosen, tmp_path / "whole")
    assert facts(out) == facts(tmp_path / "whole")


def test_two_studies_do_not_work_at_one_place(tmp_path, monkeypatch):
    monkeypatch.setattr("variate.study.work.PATIENCE", 0.1)
    order = Order(study(), tmp_path)
    (tmp_path / "random-seed-0").mkdir()
    with FileLock(tmp_path / "random-seed-0" / "lock"):
        assert "another process works in" in work(order, Task("random, seed 0", ("train",)))
    assert work(order, Task("random, seed 0", ("train",))) is None


def test_a_dry_run_says_what_is_left_and_does_nothing(slow, tmp_path):
    file, _ = slow
    out = tmp_path / "out"
    shown = CliRunner().invoke(app, ["study", str(file), "--out", str(out), "--dry-run"])
    first, *lines = shown.stdout.splitlines()
    assert first.startswith("planning the study")
    assert [line.split()[:3] for line in lines[:2]] == [["deterministic", "to", "do"], ["random", "to", "do"]]
    assert any(line.startswith("2 networks: 0 done, 2 left") for line in lines)
    assert not out.exists()
    shown = CliRunner().invoke(app, ["study", str(file), "--out", str(out), "--dry-run", "--json"])
    assert json.loads(shown.stdout)[1].items() >= {"network": "random", "state": "to do"}.items()


@pytest.mark.parametrize("options", [["--engine", "ray", "--workers", "2"], ["--address", "auto"]])
def test_options_of_another_engine_are_mistakes(slow, tmp_path, options):
    shown = CliRunner().invoke(app, ["study", str(slow[0]), "--out", str(tmp_path / "out"), *options])
    assert shown.exit_code == 2
    assert "--engine ray" in shown.stderr or "--workers" in shown.stderr
    assert not (tmp_path / "out").exists()
