"""Run tasks in this process, or in several processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

import torch

from variate.progress import Board
from variate.study.engines.listening import Listener, tell
from variate.study.work import Order, Task, work

STOPPING = 0.1  # seconds between attempts to end a process that may be about to start
Outcome = tuple[Task, str | None]  # a task and the reason of its failure, if any


def run_here(order: Order, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Run tasks one after another in this process."""
    for task in tasks:
        yield task, work(order, task)


def run_in_processes(order: Order, tasks: Sequence[Task], *, workers: int, board: Board) -> Iterator[Outcome]:
    """Run tasks in ``workers`` processes; yield each outcome as it completes.

    If a process is killed, for example for its memory, only its own task fails, and another process replaces it. An
    interrupt of this process ends them all at once; their files keep what is finished. The threads of this process are
    divided among the workers. The board gets a line for each worker.
    """
    threads = max(1, torch.get_num_threads() // workers)
    workers = min(workers, len(tasks))
    with Listener(board) as listener:
        pools = {worker: _process(threads, listener.pipe(worker)) for worker in range(workers)}
        idle: SimpleQueue[int] = SimpleQueue()
        for worker in pools:
            idle.put(worker)

        def in_process(task: Task) -> str | None:
            worker = idle.get()
            listener.begin(worker, task.name)
            try:
                return pools[worker].submit(_work, order, task).result()
            except BrokenProcessPool:  # a pool of several processes would break as a whole
                pools[worker].shutdown()
                pools[worker] = _process(threads, listener.pipe(worker))
                return "its process was killed, perhaps for its memory"
            finally:
                idle.put(worker)

        executor = ThreadPoolExecutor(workers)
        started: dict[Future[str | None], Task] = {}
        try:
            started |= {executor.submit(in_process, task): task for task in tasks}
            for future in as_completed(started):
                yield started[future], future.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            while wait(started, STOPPING).not_done:  # an interrupt, or a caller that takes no more outcomes
                for pool in list(pools.values()):
                    _end(pool)
            for pool in pools.values():
                pool.shutdown()


def _end(pool: ProcessPoolExecutor) -> None:
    """End the process of a pool; whatever a task writes is whole at any moment."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


def _process(threads: int, sender: Connection) -> ProcessPoolExecutor:
    """A pool of one process, which starts with its first task."""
    spawn = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA, and OpenMP is unsafe in it
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=_initialize, initargs=(threads, sender))


_sender: Connection | None = None  # of a worker process, to its parent


def _initialize(threads: int, sender: Connection) -> None:
    global _sender
    _sender = sender
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()


def _work(order: Order, task: Task) -> str | None:
    """Do a task in a worker process, which tells its parent how far it is."""
    if _sender is not None:
        tell(_sender, task.name)
    return work(order, task)


def _end_with_parent() -> None:
    """End this process when its parent has died, so that nothing is left running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
