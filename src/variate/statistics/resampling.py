"""Bootstrap resamples as counts: how often each value is in each, so that sums over them are products of matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
BLOCK = 200  # resamples made at once, to spare memory
KEPT = 30_000  # values in a resample up to which all are kept for the next call: a byte each
Counts = list[NDArray[np.uint8]]


def resamples(lengths: tuple[int, ...], seed: int) -> Iterable[Counts]:
    """How often each value is in each of ``RESAMPLES`` resamples.

    Args:
        lengths: of one or more samples, which are resampled apart.
        seed: of the resampling; the same gives the same.

    Returns:
        Blocks of (block, length) for each of the lengths.
    """
    return _kept(lengths, seed) if sum(lengths) <= KEPT else _made(lengths, seed)


@lru_cache(maxsize=2)
def _kept(lengths: tuple[int, ...], seed: int) -> Sequence[Counts]:
    """The resamples of one size and seed, which many calls share."""
    return list(_made(lengths, seed))


def _made(lengths: tuple[int, ...], seed: int) -> Iterator[Counts]:
    """How often each value is in each resample, a block at a time: shapes (block, B) and (block, n)."""
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES // BLOCK):
        chosen = [generator.integers(0, length, (BLOCK, length)) for length in lengths]
        yield [_counts(one, length) for one, length in zip(chosen, lengths, strict=True)]


def _counts(chosen: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    places = chosen + length * np.arange(len(chosen))[:, None]
    counts = np.bincount(places.ravel(), minlength=len(chosen) * length).reshape(len(chosen), length)
    return np.minimum(counts, 255).astype(np.uint8)  # of 256 values or more none is drawn as often
