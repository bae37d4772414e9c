"""Tasks in this process, or in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from threading import Thread

import torch

from variate.study.work import Order, Task, work

Outcome = tuple[Task, str | None]  # a task, and why it failed


def run_here(order: Order, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """Do tasks one after another in this process."""
    for task in tasks:
        yield task, work(order, task)


def run_in_processes(order: Order, tasks: Sequence[Task], *, workers: int) -> Iterator[Outcome]:
    """Do tasks in processes, so many at a time; as they are done.

    A process that is killed, by the system for its memory or by anyone, takes no task along but its own, and another
    takes its place. The threads of this process are divided among them.
    """
    threads = max(1, torch.get_num_threads() // workers)
    workers = min(workers, len(tasks))
    idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
    for _ in range(workers):
        idle.put(_process(threads))

    def in_process(task: Task) -> str | None:
        own = idle.get()
        try:
            return own.submit(work, order, task).result()
        except BrokenProcessPool:  # one pool of many processes would be broken as a whole
            own.shutdown()
            own = _process(threads)
            return "its process died: it was killed, perhaps for its memory"
        finally:
            idle.put(own)

    pool = ThreadPoolExecutor(workers)
    try:
        started = {pool.submit(in_process, task): task for task in tasks}
        for future in as_completed(started):
            yield started[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        for _ in range(workers):
            idle.get().shutdown()


def _process(threads: int) -> ProcessPoolExecutor:
    """A pool of one process; it starts with its first task."""
    spawn = multiprocessing.get_context("spawn")  # a process that was forked cannot use CUDA, nor OpenMP safely
    return ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(threads,))


def _begin(threads: int) -> None:
    torch.set_num_threads(threads)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it has died, so that nothing is left running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
