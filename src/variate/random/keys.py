"""Keys, and the named streams they come from.

A *key* is one 64-bit integer, and a draw of a network is a pure function of its parameters and a key. Training, the
attacker's search and the judge's verdict take their keys from streams with different names. The name is encoded in
the top bits of every key, so the keys of two streams are disjoint by construction, not by luck.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import warnings
import weakref
from collections.abc import Sequence
from typing import Any, Literal

from variate.errors import UsageError

StreamName = Literal["user", "train", "search", "verdict", "serve", "probe"]

STREAMS: tuple[StreamName, ...] = ("user", "train", "search", "verdict", "serve", "probe")
KEY_BITS = 63  # keys are non-negative 64-bit integers
COUNTER_BITS = 56  # of the counter, below the tag of the stream's name
COUNTER_MASK = (1 << COUNTER_BITS) - 1
LEGACY_SEED_BITS = 32  # of a seed that torch's CPU generator uses
LEGACY_COUNTER_BITS = 29
STRIDE = 0x9E3779B97F4A7D  # odd, so index * STRIDE mod 2**b is a permutation for every b: no key repeats in a stream


_taking = threading.Lock()  # one for all streams: a stream is copied with its network, and a lock cannot be copied
_from_entropy: weakref.WeakSet[Stream] = weakref.WeakSet()


class Stream:
    """A sequence of keys: a pure function of (name, seed, index).

    Threads that share a stream never get the same key. A stream without a seed starts from fresh entropy wherever it is
    copied, loaded or forked, so that no two copies use the same keys and no file reveals them; one with a seed
    continues where it was.

    Args:
        name: what the keys are for; streams with different names never share a key.
        seed: any integer; None: seeded from the operating system's entropy. A seed for a ``serve`` stream raises a
            warning: an attacker who learns the seed knows every draw.
        index: index of the first key.
    """

    def __init__(self, name: StreamName, seed: int | None = None, index: int = 0) -> None:
        if name not in STREAMS:
            raise UsageError(f"there is no stream named {name!r}", expected=f"one of {', '.join(STREAMS)}")
        if name == "serve" and seed is not None:
            warnings.warn(
                "a network that serves from a fixed seed has predictable draws: no certificate holds", stacklevel=2
            )
        self.name: StreamName = name
        self.seed = seed
        self.index = index
        self._tag: int = STREAMS.index(name) << COUNTER_BITS
        self._start: int = secrets.randbits(COUNTER_BITS) if seed is None else hash_words(name, seed) % 2**COUNTER_BITS
        if seed is None:
            _from_entropy.add(self)

    def next(self) -> int:
        """The next key."""
        with _taking:
            self.index += 1
            return self._key(self.index - 1)

    def take(self, count: int) -> list[int]:
        """The next ``count`` keys, all different."""
        with _taking:
            first, self.index = self.index, self.index + count
        return [self._key(i) for i in range(first, first + count)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (Stream, (self.name,)) if self.seed is None else super().__reduce_ex__(protocol)

    def _key(self, index: int) -> int:
        return self._tag | ((self._start + index * STRIDE) & COUNTER_MASK)

    def __repr__(self) -> str:
        source = "the operating system's entropy" if self.seed is None else f"seed {self.seed}"
        return f"Stream({self.name!r}, from {source}, index {self.index})"


def _in_a_child() -> None:
    """Reset after a fork: a lock that another thread may have held, and streams that would repeat the parent's keys."""
    global _taking
    _taking = threading.Lock()
    for stream in list(_from_entropy):
        stream._start = secrets.randbits(COUNTER_BITS)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_a_child)


def fresh_keys(count: int) -> list[int]:
    """Different keys for serving, each from the operating system's entropy: knowing some reveals none of the others."""
    keys: set[int] = set()
    while len(keys) < count:
        keys.add(STREAMS.index("serve") << COUNTER_BITS | secrets.randbits(COUNTER_BITS))
    return list(keys)


def stream_of(key: int) -> StreamName:
    """The name of the stream that a key came from (``user`` for a hand-picked key)."""
    return STREAMS[min(key >> COUNTER_BITS, len(STREAMS) - 1)]


def legacy_seed(key: int) -> int:
    """A 32-bit seed for torch's global generator: the stream's tag and the low bits of the counter.

    The low bits of a stream's counter are themselves a permutation, so keys of one stream give different seeds up to
    2**29 draws, and keys of different streams never give the same seed.
    """
    tag = (key >> COUNTER_BITS) % 8
    return (tag << LEGACY_COUNTER_BITS) | (key % (1 << LEGACY_COUNTER_BITS))


def sibling(key: int, index: int) -> int:
    """A key of the same stream for the ``index``-th of several networks drawn together; the first keeps ``key``."""
    return key if index == 0 else derived(key, "sibling", index)


def derived(key: int, purpose: str, index: int) -> int:
    """A key of the same stream, a function of a key, what it is for and a number; it does not reveal the first key."""
    tag = (key >> COUNTER_BITS) << COUNTER_BITS
    return tag | (hash_words(purpose, key, index) & ((1 << COUNTER_BITS) - 1))


def check_key(key: int) -> int:
    """Return ``key`` if it is a valid key. Raises ``UsageError``."""
    if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < 2**KEY_BITS:
        raise UsageError(f"{key!r} is not a key", expected=f"an integer from 0 to 2**{KEY_BITS} - 1")
    return key


def check_keys(keys: Sequence[int]) -> list[int]:
    """Return the keys if there is at least one and all differ. Raises ``UsageError``."""
    checked = [check_key(key) for key in keys]
    if not checked or len(set(checked)) != len(checked):
        raise UsageError("averaging needs one or more different keys", expected="a list such as [1, 2, 3]")
    return checked


def hash_words(*words: object) -> int:
    """A 64-bit hash of any words: stable across processes, machines and Python versions."""
    text = "\x1f".join(map(str, words))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


hash_words._dynamo_marked_constant = True  # type: ignore[attr-defined]  # torch.compile cannot trace hashlib
