"""Bootstrap resamples as counts of each value, so that sums over resamples are matrix products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
BLOCK = 200  # resamples drawn at once, to bound memory
CACHED_VALUES = 30_000  # resamples of up to so many values are cached: one byte per value
Counts = list[NDArray[np.uint8]]


def resamples(lengths: tuple[int, ...], seed: int) -> Iterable[Counts]:
    """How often each value occurs in each of ``RESAMPLES`` resamples.

    Args:
        lengths: sizes of one or more samples, which are resampled independently.
        seed: seed of the resampling.

    Returns:
        Blocks of resamples; a block has counts of shape (block, length) for each length.
    """
    return _cached_blocks(lengths, seed) if sum(lengths) <= CACHED_VALUES else _blocks(lengths, seed)


@lru_cache(maxsize=2)
def _cached_blocks(lengths: tuple[int, ...], seed: int) -> Sequence[Counts]:
    """The resamples of given sizes and seed, cached because many calls share them."""
    return list(_blocks(lengths, seed))


def _blocks(lengths: tuple[int, ...], seed: int) -> Iterator[Counts]:
    """Draw resamples block by block: counts of shapes (block, B) and (block, n)."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES // BLOCK):
        indices = [generator.integers(0, length, (BLOCK, length)) for length in lengths]
        yield [_counts(drawn, length) for drawn, length in zip(indices, lengths, strict=True)]


def _counts(drawn: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    offset = drawn + length * np.arange(len(drawn))[:, None]
    counts = np.bincount(offset.ravel(), minlength=len(drawn) * length).reshape(len(drawn), length)
    return np.minimum(counts, 255).astype(np.uint8)  # no value is drawn 256 times in practice
