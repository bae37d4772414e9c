"""Batches of tensors that fit in memory, in an order that is a pure function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from variate.random.keys import hash_words


class Batches:
    """Shuffled batches; each process of a data-parallel run gets its share of every batch.

    Args:
        x: inputs, shape (N, ...).
        y: labels, shape (N,).
        batch_size: examples per step, over all processes together.
        seed: of the order.
        rank: the number of this process.
        world: how many processes there are.
    """

    def __init__(self, x: Tensor, y: Tensor, *, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.x, self.y = x, y
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.epoch = 0

    def share(self, rank: int, world: int) -> Batches:
        """The part of every batch that belongs to one of several processes."""
        return Batches(self.x, self.y, batch_size=self.batch_size, seed=self.seed, rank=rank, world=world)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(hash_words("order", self.seed, self.epoch) % 2**32)
        order = torch.randperm(len(self.x), generator=generator)
        for start in range(0, len(order), self.batch_size):
            chosen = order[start : start + self.batch_size]
            mine = chosen[self.rank :: self.world] if len(chosen) >= self.world else chosen
            yield self.x[mine], self.y[mine]
