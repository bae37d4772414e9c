"""Run tasks in this process, or in several processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from threading import Thread

import torch

from variate.study.work import Order, Task, work

STOPPING = 0.1  # seconds between attempts to end a process that may be about to start
Outcome = tuple[Task, str | None]  # a task and the reason of its failure, if any


def run_here(order: Order, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Run tasks one after another in this process."""
    for task in tasks:
        yield task, work(order, task)


def run_in_processes(order: Order, tasks: Sequence[Task], *, workers: int) -> Iterator[Outcome]:
    """Run tasks in ``workers`` processes; yield each outcome as it completes.

    If a process is killed, for example for its memory, only its own task fails, and another process replaces it. An
    interrupt of this process ends them all at once; their files keep what is finished. The threads of this process are
    divided among the workers.
    """
    threads = max(1, torch.get_num_threads() // workers)
    workers = min(workers, len(tasks))
    pools = [_process(threads) for _ in range(workers)]
    idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for pool in pools:
        idle.put(pool)

    def in_process(task: Task) -> str | None:
        pool = idle.get()
        try:
            return pool.submit(work, order, task).result()
        except BrokenProcessPool:  # a pool of several processes would break as a whole
            pool.shutdown()
            pool = _process(threads)
            pools.append(pool)
            return "its process was killed, perhaps for its memory"
        finally:
            idle.put(pool)

    executor = ThreadPoolExecutor(workers)
    started: dict[Future[str | None], Task] = {}
    try:
        started |= {executor.submit(in_process, task): task for task in tasks}
        for future in as_completed(started):
            yield started[future], future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        while wait(started, STOPPING).not_done:  # an interrupt, or a caller that takes no more outcomes
            for pool in list(pools):
                _end(pool)
        for pool in pools:
            pool.shutdown()


def _end(pool: ProcessPoolExecutor) -> None:
    """End the process of a pool; whatever a task writes is whole at any moment."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _process(threads: int) -> ProcessPoolExecutor:
    """A pool of one process, which starts with its first task."""
    spawn = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA, and OpenMP is unsafe in it
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=_initialize, initargs=(threads,))


def _initialize(threads: int) -> None:
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has died, so that nothing is left running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
