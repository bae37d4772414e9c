"""Shuffled batches of tensors in memory; the order is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from variate.random.keys import hash_words


class Batches:
    """Shuffled batches; in a data-parallel run each process gets its share of every batch.

    Args:
        x: inputs, shape (N, ...).
        y: labels, shape (N,).
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
