"""Noise in plain torch: the integers of ``noise.c``, for machines without a compiler, other devices and graphs.

Element i of tensor ``uid`` under ``key`` is a pure function of (key, uid, i). The words come from Threefry-2x32 with 13
rounds (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"); its counter is the index of a
pair of elements. Elements come in blocks of 32: lane j of a block makes the elements j and 16 + j.
"""

from __future__ import annotations

import math
from typing import TypeVar, cast

import torch
from torch import Tensor

from variate.random.noise.kinds import Kind

BLOCK, HALF = 32, 16
AT_ONCE = 2**16  # elements made at a time: temporaries stay in the cache, twice as fast for large tensors
MASK64 = 2**64 - 1
GOLDEN, MIX1, MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
SHARED = 0x6D6F646573206F66  # keeps the number of a key apart from the words that noise is made of
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
ROUNDS = 13
PARITY = 0x1BD11BDA

Word = TypeVar("Word", bound=int | Tensor)


def noise(kind: Kind, key: int | Tensor, uid: int, count: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Noise of ``count`` elements, float32, shape (count,).

    Args:
        kind: distribution of the noise.
        key: an integer, or a tensor of one int64 for graphs whose key is data.
        uid: number of the tensor, 64 bits.
        count: number of elements.
        device: device of the noise.
    """
    words = words_of(key, uid)
    if isinstance(key, Tensor) or count <= AT_ONCE or torch._C._are_functorch_transforms_active():
        return _transform(kind, *_bits(words, 0, count, device), count)
    parts = []
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        parts.append(_transform(kind, *_bits(words, start, size, device), size))
    return torch.cat(parts)


def words_of(key: int | Tensor, uid: int) -> tuple[int, int, int] | tuple[Tensor, Tensor, Tensor]:
    """Threefry's key and the upper word of its counter from (key, uid): 96 bits, so that streams do not overlap."""
    if isinstance(key, Tensor):
        first = _mix_tensor(_mix_tensor(key) + signed64(uid))
        second = _mix_tensor((first ^ signed64(GOLDEN)) + key)
        return first.to(torch.int32), (first >> 32).to(torch.int32), second.to(torch.int32)
    low = _mix((_mix(key) + uid) & MASK64)
    high = _mix((low ^ GOLDEN) + key & MASK64)
    return _signed32(low), _signed32(low >> 32), _signed32(high)


def unit(key: int) -> float:
    """The number in (0, 1) that belongs to a key alone, the same bits as ``unit_tensor``."""
    return ((_mix(_mix(key) ^ SHARED) >> 41) + 0.5) * 2.0**-23


def unit_tensor(key: Tensor) -> Tensor:
    """``unit`` for a key that is data: a float32 scalar."""
    mixed = _mix_tensor(_mix_tensor(key) ^ signed64(SHARED))
    return ((mixed >> 41 & 2**23 - 1).to(torch.float32) + 0.5) * 2.0**-23


def _bits(
    words: tuple[int, int, int] | tuple[Tensor, Tensor, Tensor], start: int, count: int, device: torch.device | str
) -> tuple[Tensor, Tensor]:
    """Two 32-bit words for every pair of the blocks that cover ``count`` elements: int32, (blocks, 16)."""
    blocks = -(-count // BLOCK)
    first = start // 2
    pairs = torch.arange(first, first + blocks * HALF, dtype=torch.int32, device=device).view(blocks, HALF)
    k0, k1, c1 = words
    keys = (k0, k1, k0 ^ k1 ^ PARITY)
    a = pairs + k0
    b = torch.zeros_like(pairs) + _wrap(c1 + k1)
    for i in range(ROUNDS):
        a = a + b
        b = _rotate(b, ROTATIONS[i % 8]) ^ a
        if i % 4 == 3:
            injection = i // 4 + 1
            a = a + keys[injection % 3]
            b = b + _wrap(keys[(injection + 1) % 3] + injection)
    return a, b


def _transform(kind: Kind, a: Tensor, b: Tensor, count: int) -> Tensor:
    """Turn words into noise: two tensors (blocks, 16) to (count,)."""
    if kind == "normal":  # Box & Muller 1958
        radius = _minus_two_log(_odd31(a)).sqrt()
        angle = b.to(torch.float32) * (math.pi * 2.0**-31)
        halves = radius * angle.cos(), radius * angle.sin()
    else:
        halves = _one_word(kind, a), _one_word(kind, b)
    return torch.cat(halves, 1).view(-1)[:count]  # (blocks, 32) to (count,)


def _one_word(kind: Kind, word: Tensor) -> Tensor:
    if kind == "uniform":
        return (word | 1).to(torch.float32) * (math.sqrt(3) * 2.0**-31)
    if kind == "laplace":
        size = _minus_two_log(((word & 0x7FFFFFFF) | 1).to(torch.float32)) * math.sqrt(1 / 8)
        return torch.where(word < 0, -size, size)
    if kind == "logistic":
        low = (word >> 1 & 0x7FFFFFFF) | 1
        high = -(2**31) - low  # 2^31 - low, modulo 2^32
        return (_minus_two_log(high.to(torch.float32)) - _minus_two_log(low.to(torch.float32))) * (
            math.sqrt(3) / (2 * math.pi)
        )
    if kind == "bits":
        return word.view(torch.float32)
    return ((word >> 8 & 0xFFFFFF) | 1).to(torch.float32) * 2.0**-24


def _odd31(word: Tensor) -> Tensor:
    return ((word >> 1 & 0x7FFFFFFF) | 1).to(torch.float32)


def _minus_two_log(n: Tensor) -> Tensor:
    return (n * 2.0**-31).log() * -2.0


def _rotate(x: Tensor, by: int) -> Tensor:
    return x << by | (x >> (32 - by) & (1 << by) - 1)  # torch shifts int32 arithmetically: the sign bits are masked off


def _mix(z: int) -> int:
    """Mix 64 bits (SplitMix64: Steele, Lea & Flood 2014)."""
    z = (z + GOLDEN) & MASK64
    z = (z ^ z >> 30) * MIX1 & MASK64
    z = (z ^ z >> 27) * MIX2 & MASK64
    return z ^ z >> 31


def _mix_tensor(z: Tensor) -> Tensor:
    z = z + signed64(GOLDEN)
    z = (z ^ (z >> 30 & 2**34 - 1)) * signed64(MIX1)
    z = (z ^ (z >> 27 & 2**37 - 1)) * signed64(MIX2)
    return z ^ (z >> 31 & 2**33 - 1)


def _wrap(word: Word) -> Word:
    return word if isinstance(word, Tensor) else cast(Word, _signed32(word))


def _signed32(word: int) -> int:
    word &= 2**32 - 1
    return word - 2**32 if word >= 2**31 else word


def signed64(word: int) -> int:
    """A 64-bit word as a signed integer."""
    return word - 2**64 if word >= 2**63 else word
