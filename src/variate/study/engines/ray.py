"""Tasks on a cluster, or on this machine, by Ray (Moritz et al. 2018, arXiv:1712.05889).

Every machine needs the same Variate, and the study's folder and the data's at the same path, on a shared file system
whose locks reach across machines: networks and records are written there; only a task and how it failed travel.
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
    """Do tasks as Ray's; as they are done. A task whose worker is lost is begun again, and goes on from its folder.

    Args:
        order: with absolute paths.
        tasks: what to do.
        address: of the cluster; without one, ``RAY_ADDRESS``, or a cluster on this machine for as long as it takes.
        cpus: of each task.
        gpus: of each task; below 1, several tasks share one.

    Raises:
        UsageError: if Ray is not installed, or this machine alone has not what a task asks for.
        VariateError: if the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("the engine ray needs Ray", todo='pip install "variate[ray]"') from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    joined = ray.is_initialized()
    alone = not joined and address is None and "RAY_ADDRESS" not in os.environ
    if not joined:
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
        if not joined:
            ray.shutdown()


def _work(order: Order, task: Task, threads: int, place: Path) -> str | None:
    """A task in a process of the cluster, which finds the user's own code where the study was started."""
    if str(place) not in sys.path:
        sys.path.append(str(place))
    torch.set_num_threads(threads)
    return work(order, task)


def _outcome(reference: ray.ObjectRef[str | None]) -> str | None:
    import ray

    try:
        failure: str | None = ray.get(reference)
    except ray.exceptions.RayError as error:
        return f"lost by the cluster, after {RETRIES} more tries: {type(error).__name__}"
    return failure


def _check_resources(nodes: Sequence[dict[str, Any]], wanted: dict[str, float]) -> None:
    """Whether one machine has what a cell asks for; otherwise Ray would wait for ever."""
    if not any(all(node["Resources"].get(kind, 0) >= count for kind, count in wanted.items()) for node in nodes):
        there = "; ".join(", ".join(f"{node['Resources'].get(kind, 0):g} {kind}" for kind in wanted) for node in nodes)
        asked = ", ".join(f"{count:g} {kind}" for kind, count in wanted.items())
        raise UsageError(
            f"a cell asks for {asked}, and the machine has {there}", todo="ask for less, or join a cluster"
        )
