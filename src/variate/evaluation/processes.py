"""One evaluation over several processes: each takes every n-th batch and writes its own file; one merges the files.

The keys of search and verdict do not depend on the batch, so the merged records equal those of a single process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from variate.errors import FALLS_SHORT, UsageError, VariateError
from variate.records.file import Records, shard_of
from variate.records.merging import gather

Shard = tuple[int, int]  # index of a process, number of processes


def this_shard() -> Shard:
    """The shard of this process, from the variables that torchrun sets; (0, 1) for a single process."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def spawn(arguments: Sequence[str], count: int) -> int:
    """Run the command line as ``count`` processes on this machine, and wait for all of them.

    Args:
        arguments: arguments of ``variate``, without the option that asks for processes.
        count: number of processes.

    Returns:
        The exit status of the command: 0, or ``FALLS_SHORT``.

    Raises:
        VariateError: if one of them failed; what each has written is kept.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rendezvous = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(_threads(count))}
        environment = {**os.environ, **rendezvous, **own}
        processes.append(subprocess.Popen([sys.executable, "-m", "variate", *arguments], env=environment))  # noqa: S603
    try:
        codes = [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    failed = [code for code in codes if code not in (0, FALLS_SHORT)]
    if failed:
        raise VariateError(
            f"{len(failed)} of {count} processes failed",
            todo="read their messages above, then run the same command again to continue",
        )
    return max(codes)


def wait_for_all(shard: Shard) -> None:
    """Wait until every process has reached this point."""
    if shard[1] == 1:
        return
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("gloo")
    dist.barrier()


def leave(shard: Shard) -> None:
    """Destroy the process group."""
    if shard[1] > 1:
        import torch.distributed as dist

        dist.destroy_process_group()


def merge(path: Path, count: int) -> Records:
    """Merge the files of ``count`` processes into one, as a single process would have written it.

    Args:
        path: file of the merged records.
        count: number of processes that wrote files.

    Returns:
        The merged records.
    """
    parts = [Records(path, shard=number) for number in range(count)]
    if count < 1:
        raise UsageError("there is nothing to merge", expected="one process or more")
    whole = Records(path)
    with whole.held():
        gather(parts, whole)
    for number in range(count):
        shard_of(path, number).unlink(missing_ok=True)
    return whole


def _threads(count: int) -> int:
    return max(1, (os.cpu_count() or 1) // count)
