"""The attacker's own coins: a pure function of the seed, the purpose and the example's content.

An example has the same coins alone and in any batch, and torch's global generator is not used.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from variate.hashing import fingerprint
from variate.random.keys import hash_words
from variate.random.noise import counter
from variate.random.noise.kinds import Kind


class Coins:
    """Coins for the examples of one batch.

    Args:
        seed: seed of the attacker.
        x: original inputs, shape (B, ...): their content determines their coins.
        free: mask of the values that the attacker may change, so that random starts use only these; None: all.
    """

    def __init__(self, seed: int, x: Tensor, free: Tensor | None = None) -> None:
        self.free = free
        self._seed = seed
        self._like = x

    @functools.cached_property
    def _keys(self) -> list[int]:
        """One key per example, computed at first use."""
        return [hash_words("coins", self._seed, fingerprint([row])) % 2**63 for row in self._like]

    def uniform(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Uniform in (0, 1): shape (B, *shape), in the inputs' precision; independent for different purposes."""
        return self._draw("unit", purpose, shape)

    def normal(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """Standard normal: shape (B, *shape), in the inputs' precision."""
        return self._draw("normal", purpose, shape)

    def integers(self, purpose: str, shape: Sequence[int], below: int | Tensor) -> Tensor:
        """Integers from 0 to below - 1, int64: shape (B, *shape); ``below`` may be a tensor that broadcasts to it."""
        integers = (self.uniform(purpose, shape).double() * below).long()
        return torch.minimum(integers, torch.as_tensor(below, device=integers.device) - 1)

    def signs(self, purpose: str, shape: Sequence[int]) -> Tensor:
        """-1 or 1, in the inputs' precision: shape (B, *shape)."""
        return (self.uniform(purpose, shape) < 0.5).to(self._like) * 2 - 1

    def _draw(self, kind: Kind, purpose: str, shape: Sequence[int]) -> Tensor:
        if not self._keys:
            return self._like.new_zeros((0, *shape))
        uid, count = hash_words(purpose), math.prod(shape)
        noise = counter.rows(kind, self._keys, uid, count, device=self._like.device)  # (B, count)
        return noise.view(-1, *shape).to(self._like.dtype)
