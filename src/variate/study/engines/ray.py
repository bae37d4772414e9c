"""Run tasks with Ray (Moritz et al. 2018, arXiv:1712.05889), on a cluster or on this machine.

Every machine needs the same version of Variate, and the folders of the study and the data at the same paths, on a
shared file system with locks across machines. Networks and records are written there; only tasks and failures are sent.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from logging import ERROR
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from variate.errors import UsageError, VariateError
from variate.study.engines.local import Outcome
from variate.study.work import Order, Task, work

if TYPE_CHECKING:
    import ray

RETRIES = 3  # after a worker or its machine is lost


def run_with_ray(
    order: Order, tasks: Sequence[Task], *, address: str | None, cpus: float, gpus: float
) -> Iterator[Outcome]:
    """Run tasks with Ray; yield each outcome as it completes. If a worker is lost, its task resumes from its folder.

    Args:
        order: the study, with absolute paths.
        tasks: tasks to run.
        address: address of the cluster; by default ``RAY_ADDRESS``, or a temporary cluster on this machine.
        cpus: CPU cores of each task.
        gpus: GPUs of each task; below 1, several tasks share one.

    Raises:
        UsageError: if Ray is not installed, or this machine lacks the resources of a task.
        VariateError: if the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("the engine ray needs Ray", todo='pip install "variate[ray]"') from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    connected = ray.is_initialized()
    alone = not connected and address is None and "RAY_ADDRESS" not in os.environ
    if not connected:
        try:
            ray.init(address, include_dashboard=None if address else False, log_to_driver=False, logging_level=ERROR)
        except (ConnectionError, ValueError) as error:
            raise VariateError(f"cannot reach the cluster {address}: {error}") from error
    try:
        if alone:  # a cluster may grow
            list_nodes: Callable[[], list[dict[str, Any]]] = ray.nodes
            _check_resources(list_nodes(), {"CPU": cpus, "GPU": gpus})
        remote = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_work)
        threads = max(1, int(cpus))
        running = {remote.remote(order, task, threads, Path.cwd()): task for task in tasks}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _outcome(done)
    finally:
        if not connected:
            ray.shutdown()


def _work(order: Order, task: Task, threads: int, folder: Path) -> str | None:
    """Run a task in a process of the cluster, with the folder where the study was started on the import path."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    torch.set_num_threads(threads)
    return work(order, task)


def _outcome(reference: ray.ObjectRef[str | None]) -> str | None:
    import ray

    try:
        failure: str | None = ray.get(reference)
    except ray.exceptions.RayError as error:
        return f"lost by the cluster, after {RETRIES} more tries: {type(error).__name__}"
    return failure


def _check_resources(nodes: Sequence[dict[str, Any]], requested: dict[str, float]) -> None:
    """Raise ``UsageError`` unless a machine has the resources of a task; Ray would wait forever."""
    if not any(all(node["Resources"].get(kind, 0) >= count for kind, count in requested.items()) for node in nodes):
        available = "; ".join(
            ", ".join(f"{node['Resources'].get(kind, 0):g} {kind}" for kind in requested) for node in nodes
        )
        asks = ", ".join(f"{count:g} {kind}" for kind, count in requested.items())
        raise UsageError(
            f"a network asks for {asks}, and the machine has {available}", todo="ask for less, or join a cluster"
        )
