"""One evaluation over several processes: each takes every n-th batch and writes a file of its own; one merges them.

The keys of a search and of a verdict do not depend on the batch, so the merged records are those of one process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from variate.errors import UsageError, VariateError
from variate.records.file import Records, shard_of
from variate.records.schema import Claim, Example, Picture, Record, Timing

Shard = tuple[int, int]  # the number of a process, and how many there are


def this_shard() -> Shard:
    """What this process is, by the variables that torchrun sets; (0, 1) for a process that is alone."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def spawn(arguments: Sequence[str], count: int) -> None:
    """Run the command line again as ``count`` processes on this machine, and wait for all.

    Args:
        arguments: of ``variate``, without what asked for the processes.
        count: how many.

    Raises:
        VariateError: if one of them failed; what each has written is kept.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    for number in range(count):
        own = {"RANK": str(number), "LOCAL_RANK": str(number), "OMP_NUM_THREADS": str(_threads(count))}
        environment = {**os.environ, **place, **own}
        started.append(subprocess.Popen([sys.executable, "-m", "variate", *arguments], env=environment))  # noqa: S603
    try:
        codes = [process.wait() for process in started]
    except BaseException:
        for process in started:
            process.terminate()
        raise
    if any(codes):
        raise VariateError(
            f"{sum(map(bool, codes))} of {count} processes failed",
            todo="read their messages above, and run the same command again: it goes on from there",
        )


def wait_for_all(shard: Shard) -> None:
    """Wait until every process has come here."""
    if shard[1] == 1:
        return
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("gloo")
    dist.barrier()


def leave(shard: Shard) -> None:
    """End the acquaintance with the other processes."""
    if shard[1] > 1:
        import torch.distributed as dist

        dist.destroy_process_group()


def merge(path: Path, count: int) -> Records:
    """Bring the files of ``count`` processes together in one, as one process would have written it.

    Args:
        path: of the whole.
        count: how many processes wrote.

    Returns:
        The whole.
    """
    parts = [Records(path, shard=number) for number in range(count)]
    if count < 1:
        raise UsageError("there is nothing to merge", expected="one process or more")
    whole = Records(path)
    gather(parts, whole)
    for number in range(count):
        shard_of(path, number).unlink(missing_ok=True)
    return whole


def gather(parts: Sequence[Records], whole: Records) -> None:
    """Add what several files hold to one, in an order that does not depend on which was written first.

    Args:
        parts: in the order in which the whole shall name networks and claims; a claim may be in several of them.
        whole: where all of it goes.
    """
    for part in parts:
        whole.add([*part.runs, *part.networks.values(), *part.scales, *part.convergences])
    for claim in {claim.key: claim for part in parts for claim in part.claims.values()}.values():
        holding = [part for part in parts if claim.id in part.examples]
        whole.add([claim, *_examples(holding, claim)])
    gradients = {place: line for part in parts for place, line in part.gradients.items()}
    whole.add([gradients[place] for place in sorted(gradients)])


def _examples(parts: Sequence[Records], claim: Claim) -> list[Record]:
    """The answers of a claim in the order of its examples, each with its picture, and how long they took."""
    found: dict[int, Example] = {}
    pictures: dict[int, Picture] = {}
    timings: dict[int, Timing] = {}
    for part in parts:
        timings |= part.timings.get(claim.id, {})
        found |= part.examples.get(claim.id, {})
        pictures |= {picture.example: picture for picture in part.pictures if picture.claim == claim.id}
    lines: list[Record] = []
    for i in sorted(found):
        lines += [found[i], *([pictures[i]] if i in pictures else [])]
    return [*lines, *(timings[first] for first in sorted(timings))]


def _threads(count: int) -> int:
    return max(1, (os.cpu_count() or 1) // count)
