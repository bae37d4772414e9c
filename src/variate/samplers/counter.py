"""Noise as a counter: element i of tensor ``uid`` under ``key`` is a pure function of (key, uid, i), in plain torch.

The counter goes through a 64-bit mixing function in the manner of SplitMix64 (Steele, Lea & Flood 2014, "Fast
splittable pseudorandom number generators"), whose input is offset by one word of (key, uid) and whose middle is offset
by
another: two streams can then meet only if both 64-bit words fall together. Pairs of normals come from the Box-Muller
    transform.
Nothing depends on threads, device, batch or the state of any generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MASK64 = 2**64 - 1
GOLDEN, MIX1, MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
BLOCK = 2**15  # pairs made at a time: the temporaries stay in the cache, which is twice as fast for large tensors


def normal(key: int, uid: int, shape: Sequence[int], *, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal noise of ``shape``, float32: a pure function of (key, uid, element's index)."""
    count = math.prod(shape)
    pairs = (count + 1) // 2
    noise = torch.empty(pairs, 2, dtype=torch.float32, device=device)
    for start in range(0, pairs, BLOCK):
        _fill_pairs(noise[start : start + BLOCK], key, uid, start)
    return noise.view(-1)[:count].view(tuple(shape))


def _fill_pairs(noise: Tensor, key: int, uid: int, start: int) -> None:
    """Box-Muller on the counters from ``start``: fills ``noise``, shape (n, 2)."""
    halves = _bits([key], uid, start, len(noise), noise.device)[0].view(torch.int32).view(-1, 2)  # (n, 2)
    radius = (halves[:, 1] & 0x7FFFFFFF).to(torch.float32).add_(0.5).mul_(2.0**-31)
    radius.log_().mul_(-2.0).sqrt_()  # (n,)
    angle = halves[:, 0].to(torch.float32).mul_(math.pi * 2.0**-31)  # (n,), in [-pi, pi]
    torch.mul(radius, angle.cos(), out=noise[:, 0])
    torch.mul(radius, angle.sin_(), out=noise[:, 1])


def uniform(keys: Sequence[int], uid: int, count: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Uniform noise in (0, 1), float32, one row per key: shape (len(keys), count)."""
    top = _bits(keys, uid, 0, count, device) >> 41 & 0x7FFFFF  # (B, count), 23 bits: a 24th would round up to 1
    return top.to(torch.float32).add_(0.5).mul_(2.0**-23)


def _bits(keys: Sequence[int], uid: int, start: int, count: int, device: torch.device | str) -> Tensor:
    """64 random bits per key for the counters from ``start``, as int64: shape (len(keys), count)."""
    words = [_words(key, uid) for key in keys]
    first = torch.tensor([[a] for a, _ in words], device=device)  # (B, 1)
    second = torch.tensor([[b] for _, b in words], device=device)  # (B, 1)
    z = torch.arange(start, start + count, device=device).mul_(_signed(GOLDEN)) + first  # (B, count)
    _fold(z, 30).mul_(_signed(MIX1)).add_(second)
    _fold(z, 27).mul_(_signed(MIX2))
    return _fold(z, 31)


def _fold(z: Tensor, shift: int) -> Tensor:
    """``z ^= z >>> shift`` in place; torch shifts int64 arithmetically, so the sign bits are masked off."""
    return z.bitwise_xor_((z >> shift).bitwise_and_(2 ** (64 - shift) - 1))


def _words(key: int, uid: int) -> tuple[int, int]:
    first = _mix((_mix(key) + uid) & MASK64)
    return _signed(first), _signed(_mix((first ^ GOLDEN) + key & MASK64))


def _mix(z: int) -> int:
    z = (z + GOLDEN) & MASK64
    z = (z ^ z >> 30) * MIX1 & MASK64
    z = (z ^ z >> 27) * MIX2 & MASK64
    return z ^ z >> 31


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word
