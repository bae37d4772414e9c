"""Processes that are killed, and processes that share the work: the records are those of one that was left in peace."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from claims import assert_same

from variate.cli import evaluation_command as judging
from variate.errors import VariateError
from variate.evaluation.claims import look_at
from variate.evaluation.evaluate import evaluate
from variate.evaluation.processes import merge, spawn, this_shard
from variate.records import appending
from variate.records.file import Records, shard_of
from variate.records.groups import notes
from variate.records.rows import result_of
from variate.report.summary import summary
from variate.report.table import markdown

WORK = """
import sys, torch
from torch import nn
from variate.evaluation.evaluate import evaluate
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.evaluation.processes import leave, this_shard, wait_for_all

torch.set_num_threads(1)
torch.manual_seed(0)
net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval(), scale=0.3)
x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1))
shard = this_shard()
records = Records(sys.argv[1], shard=shard[0] if shard[1] > 1 else None)
evaluate(net, x, torch.arange(60) % 3, budget="linf:0.1", attacks=[{"name": "pgd", "steps": 30}, "transfer"], draws=8,
         batch_size=4, records=records, shard=shard, pictures=True)
wait_for_all(shard)
leave(shard)
"""


def start(path, **environment):
    command = [sys.executable, "-c", WORK, str(path)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The records of a process that nobody disturbed."""
    path = tmp_path_factory.mktemp("whole") / "records.jsonl"
    assert start(path).wait() == 0
    return path


def test_a_killed_process_loses_nothing_and_counts_nothing_twice(whole, tmp_path):
    path, total = tmp_path / "records.jsonl", whole.stat().st_size
    for share in (0.1, 0.45, 0.8):  # of the file, when the process dies
        process = start(path)
        while process.poll() is None:
            if path.exists() and path.stat().st_size >= share * total:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait()
        before = path.read_bytes()
        assert 0 < len(before) < total, "it ended before it could be killed"
        with path.open("ab") as file:
            file.write(b'{"kind":"example","claim":"cut sh')  # what a machine that loses power leaves
    assert start(path).wait() == 0
    assert_same(path, whole)


def test_two_processes_write_the_records_of_one(whole, tmp_path):
    path = tmp_path / "records.jsonl"
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(20000 + os.getpid() % 20000)}
    processes = [start(path, RANK=str(rank), **place) for rank in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    sizes = [len(next(iter(Records(shard_of(path, rank)).examples.values()))) for rank in range(2)]
    assert sizes == [32, 28]  # batches of four in turn
    merged = merge(path, 2)
    assert_same(path, whole)
    assert not any(shard_of(path, rank).exists() for rank in range(2))
    assert merged.examples.keys() == Records(whole).examples.keys()


def test_what_was_merged_is_not_computed_again(net, x, y, tmp_path):
    path = tmp_path / "records.jsonl"
    asked = {"budget": "linf:0.1", "attacks": ["fgsm"], "draws": 2, "verdict_draws": 32, "batch_size": 2}
    for number in range(2):
        evaluate(net, x, y, records=Records(path, shard=number), shard=(number, 2), **asked)
    merge(path, 2)
    before = path.read_text()
    passes = []
    net.register_forward_hook(lambda *_: passes.append(1))
    look_at(net, x)
    looks = len(passes)
    evaluate(net, x, y, records=path, **asked)
    assert path.read_text() == before
    assert len(passes) == 2 * looks  # nothing but another first look


def test_this_process_is_alone_unless_told(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert this_shard() == (0, 1)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert this_shard() == (3, 8)


def test_a_failed_process_is_an_error_with_what_to_do(capfd):
    with pytest.raises(VariateError, match="2 of 2 processes failed"):
        spawn(["no-such-command"], 2)
    capfd.readouterr()


def test_the_processes_get_the_command_without_the_request_for_them(monkeypatch):
    asked = []
    monkeypatch.setattr("variate.evaluation.processes.spawn", lambda words, count: asked.append((words, count)))
    for words in (["--devices", "2"], ["--devices=2"]):
        monkeypatch.setattr(sys, "argv", ["variate", "evaluate", "runs/a", *words, "--quiet"])
        assert judging.spread(2)
    assert asked == [(["evaluate", "runs/a", "--quiet"], 2)] * 2
    assert not judging.spread(1)


def test_two_evaluations_of_one_file_write_every_line_once(net, x, y, tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "PATIENCE", 60.0)
    path, together = tmp_path / "records.jsonl", threading.Barrier(2)

    def ask(_):
        records = Records(path)
        together.wait()
        asked = {"attacks": ["pgd(steps=2)"], "draws": 2, "verdict_draws": 40, "batch_size": 4}
        return evaluate(net, x, y, budget="linf:0.1", records=records, **asked).rows

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(ask, range(2))
    lines = path.read_bytes().splitlines()
    assert one == other
    assert len(lines) == len(set(lines))
    assert sum(b'"kind":"example"' in line for line in lines) == 2 * len(x)


def test_a_time_limit_stops_between_batches_and_the_next_call_goes_on(net, x, y, tmp_path):
    path = tmp_path / "records.jsonl"
    asked = {"budget": "linf:0.1", "attacks": ["fgsm"], "draws": 2, "verdict_draws": 32, "records": path}
    assert evaluate(net, x, y, time_limit=0, **asked).rows == []
    result = evaluate(net, x, y, time_limit=1000, **asked)
    assert {row.examples for row in result.rows} == {len(x)}
    assert torch.is_tensor(x)


def test_what_a_time_limit_left_unfinished_is_marked_everywhere(net, x, y, tmp_path):
    path = tmp_path / "records.jsonl"
    asked = {"budget": "linf:0.1", "attacks": ["fgsm", "pgd(steps=2)"], "draws": 1, "verdict_draws": 40}
    evaluate(net, x, y, records=path, shard=(0, 2), batch_size=3, **asked)  # another process would do the rest
    stopped = Records(path)
    claims = list(stopped.claims.values())
    stopped.examples.pop(claims[-1].id)  # as a limit would that ended before the last attack
    some = len(stopped.examples[claims[0].id])
    assert 0 < some < len(x)
    result = result_of(stopped, claims)
    marked = f"{some} of {len(x)} examples"
    assert all(row.unfinished == marked and marked in row.percent for row in result.rows)
    assert f"pgd at linf:0.1 (0 of {len(x)} examples)" in str(result)
    for shown in (str(result), markdown(stopped), summary(stopped), *notes(stopped)):
        assert marked in shown
    assert f"network is unfinished: clean ({marked})" in notes(stopped)[0]
    whole = evaluate(net, x, y, records=path, **asked)
    assert not any(row.unfinished for row in whole.rows)
    assert whole.notes == notes(whole.records) == []
