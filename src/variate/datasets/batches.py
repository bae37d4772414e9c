"""Shuffled batches of tensors in memory; the order is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import torch
from torch import Tensor

from variate.datasets.info import about
from variate.datasets.load import check_limit, labelled
from variate.datasets.parts.own import is_own
from variate.datasets.splits import check_split
from variate.errors import UsageError
from variate.inputs.validation import check_inputs
from variate.random.keys import hash_words
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, task_of, written


class Batches:
    """Shuffled batches; in a data-parallel run each process gets its share of every batch.

    Args:
        x: inputs, shape (N, ...).
        y: labels, shape (N, ...).
        batch_size: examples per step, summed over all processes.
        seed: seed of the order.
        rank: rank of this process.
        world: number of processes.
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.x, self.y = x, y
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.epoch = 0

    def share(self, rank: int, world: int) -> Batches:
        """The batches of one of several processes: its share of every batch."""
        return Batches(self.x, self.y, batch_size=self.batch_size, seed=self.seed, rank=rank, world=world)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which determines the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(hash_words("order", self.seed, self.epoch) % 2**32)
        order = torch.randperm(len(self.x), generator=generator)
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            rows = batch[self.rank :: self.world] if len(batch) >= self.world else batch
            yield self.x[rows], self.y[rows]


def loader(
    source: str | PathLike[str] | tuple[Tensor, Tensor],
    split: str = "train",
    *,
    batch_size: int = 128,
    seed: int = 0,
    limit: int | None = None,
    folder: str | PathLike[str] | None = None,
    task: str | Task | None = None,
) -> Batches:
    """Shuffled batches for ``variate.train``, as ``variate train`` makes them: of a data set, or of your own tensors.

    A ``DataLoader`` of PyTorch, or a list of batches (x, y), does as well.

    Args:
        source: what ``variate.data`` takes, or inputs, shape (N, ...), and labels, shape (N,) or as the task says.
        split: name of the split; unused for tensors.
        batch_size: examples per batch, summed over all processes; the last batch of an epoch may be smaller.
        seed: seed of the order, which is another one in every epoch.
        limit: number of first examples; by default all.
        folder: folder or file of a data set that has its files there.
        task: what labels mean; by default what the data set declares, and ``classes`` for data of your own.

    Raises:
        UsageError: for a data set, a task, an option or a batch size that is not valid.
        DataError: for data that cannot be read.
        InputError: for tensors that are not inputs in [0, 1] and labels of the task.

    Example:
        >>> import torch, variate
        >>> net = variate.randomize(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)))
        >>> history = variate.train(net, variate.loader("digits"), epochs=1)
        >>> len(history.losses)
        1
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"the batch size {batch_size} is not valid", expected="a whole number from 1")
    check_limit(limit)
    kind = None if task is None else task_of(task)
    if isinstance(source, str | PathLike):
        check_split(split)
        x, y = labelled(str(source), folder=folder, split=split, cut=True, task=None if kind is None else written(kind))
        kind = kind or task_of("classes" if is_own(str(source)) else about(source, folder=folder).task)
    else:
        x, y = source
    check_inputs(x, y, (kind or CLASSES).label_findings)
    return Batches(x[:limit], y[:limit], batch_size=batch_size, seed=seed)
