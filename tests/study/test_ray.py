"""A study on a Ray cluster: the records of one process, and a worker that is killed loses nothing."""

import os
import signal
import sys
import time
from threading import Thread

import pytest
from grids import GRID, answers_in, facts, holding, run, study

from variate.errors import UsageError
from variate.records.file import Records
from variate.study.running import Where
from variate.study.work import Order, Task


def test_without_ray_the_error_says_what_to_install(monkeypatch, tmp_path):
    from variate.study.engines.ray import run_with_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    task = Task("random, seed 0", ("train",))
    with pytest.raises(UsageError, match="needs Ray") as error:
        list(run_with_ray(Order(study(), tmp_path), [task], address=None, cpus=1, gpus=0))
    assert error.value.todo == 'pip install "variate[ray]"'


@pytest.fixture(scope="module")
def ray():
    """Ray, with two workers on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'variate[ray]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_nothing_is_lost_or_counted_twice(ray, tmp_path):
    attacks = {"examples": 40, "attacks": [{"name": "pgd", "steps": 200}], "batch_size": 4}
    chosen = study(seeds=[0], budget="linf:0.1", evaluation={**GRID["evaluation"], **attacks})
    out, place, killed = tmp_path / "out", tmp_path / "out" / "random", []

    def kill() -> None:
        deadline = time.monotonic() + 120
        while answers_in(place) <= 402 and time.monotonic() < deadline:  # the whole split, and some of the table
            time.sleep(0.002)
        for process in holding(place / "lock"):
            os.kill(process, signal.SIGKILL)
            killed.append((process, answers_in(place)))

    killer = Thread(target=kill)
    killer.start()
    run(chosen, out, where=Where("ray"))
    killer.join()
    assert len(killed) == 1
    assert 402 < killed[0][1] < answers_in(place)
    run(chosen, tmp_path / "whole")
    assert facts(out) == facts(tmp_path / "whole")
    lines = (place / "records.jsonl").read_text().splitlines()
    assert len(lines) == len(set(lines))


def test_a_network_that_fails_on_the_cluster_says_why(ray, tmp_path):
    place = tmp_path / "random"
    place.mkdir()
    (place / "card.json").write_text("{}")
    chosen = study(defenses=["random", "deterministic"], seeds=[0])
    with pytest.raises(Exception, match="1 of 2 networks failed") as error:
        run(chosen, tmp_path, where=Where("ray"))
    assert "is not a card" in error.value.findings[0]
    assert list(Records(tmp_path / "records.jsonl").networks) == ["deterministic"]


def test_what_this_machine_does_not_have_is_not_waited_for():
    from variate.study.engines.ray import _check_resources

    nodes = [{"Resources": {"CPU": 4.0}}, {"Resources": {"CPU": 1.0, "GPU": 1.0}}]
    _check_resources(nodes, {"CPU": 1, "GPU": 0.5})
    _check_resources(nodes, {"CPU": 4, "GPU": 0})
    with pytest.raises(UsageError, match="asks for 4 CPU, 1 GPU, and the machine has 4 CPU, 0 GPU; 1 CPU, 1 GPU"):
        _check_resources(nodes, {"CPU": 4, "GPU": 1})
