"""Noise inside traced graphs (``torch.compile``, ``torch.export``), where the key is data and not a constant.

A compiled graph requests its key at every run, through an operation that writes to a ticket, so that two calls in one
graph are not merged into one; its noise comes from the sampler as one opaque operation. An exported graph must run
without Variate: its key comes from torch's own generator, and its noise from plain integer operations. A graph for a
runtime that lacks such operations (ONNX cannot shift signed integers) uses that runtime's random operations and no key.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import torch
from torch import Tensor

from variate.errors import UsageError
from variate.random.noise import eager, threefry
from variate.random.noise.kinds import KINDS, Kind


class KeyHolder(Protocol):
    """A source of keys: the handle of a random network."""

    def take_key(self) -> int:
        """The key of the next call."""
        ...


LEAST = 2.0**-24  # smallest uniform number: the logarithm of 0, and of 1 - 1, would be infinite
_random_operations: ContextVar[bool] = ContextVar("random_operations", default=False)
_stratum: ContextVar[tuple[int, int]] = ContextVar("stratum", default=(0, 1))
_holders: weakref.WeakValueDictionary[int, KeyHolder] = weakref.WeakValueDictionary()
_holder_ids = itertools.count()


def enlist(holder: KeyHolder) -> int:
    """A number under which graphs request keys from ``holder``, as long as it exists."""
    holder_id = next(_holder_ids)
    _holders[holder_id] = holder
    return holder_id


@contextmanager
def stratum(index: int, count: int) -> Iterator[None]:
    """Context in which the shared number of an exported draw lies in one of ``count`` equal parts of (0, 1)."""
    token = _stratum.set((index, count))
    try:
        yield
    finally:
        _stratum.reset(token)


@contextmanager
def random_operations() -> Iterator[None]:
    """Context in which exported graphs make noise by the runtime's random operations; no key reproduces it."""
    token = _random_operations.set(True)
    try:
        yield
    finally:
        _random_operations.reset(token)


def key_of(ticket: Tensor, holder: int, fixed: int | None) -> Tensor:
    """The key of this run of the graph: a tensor of one int64; a uniform number where random operations draw.

    Args:
        ticket: tensor of one int64 that belongs to the holder.
        holder: number of the holder, from ``enlist``.
        fixed: the key that is fixed now; an exported graph keeps it, a compiled one requests a key at every run.
    """
    if not _recorded():
        key: Tensor = torch.ops.variate.next_key(ticket, holder)
        return key
    if _random_operations.get():
        return torch.rand((), device="cpu")  # only ``unit`` uses it
    if fixed is not None:
        return torch.full((), fixed, dtype=torch.int64, device="cpu")
    return torch.randint(0, 2**62, (), device="cpu")


def unit(key: Tensor) -> Tensor:
    """The number in (0, 1) that every tensor of one draw shares: a float32 scalar."""
    if not _recorded():
        return threefry.unit_tensor(key)
    shared = key.clamp(LEAST, 1 - LEAST) if _random_operations.get() else threefry.unit_tensor(key)
    index, count = _stratum.get()
    return (shared + index) / count if count > 1 else shared


def noise(kind: Kind, key: Tensor, uid: int, shape: torch.Size, device: torch.device) -> Tensor:
    """Noise of ``shape``, float32, for a key that is data."""
    exporting = _recorded()
    if exporting and _random_operations.get():  # in this order: torch.compile cannot trace the second
        return _by_random_operations(kind, shape, device)
    if device.type == "cpu" and not exporting:
        out: Tensor = torch.ops.variate.noise(key, threefry.signed64(uid), KINDS.index(kind), list(shape))
        return out
    return threefry.noise(kind, key, uid, shape.numel(), device=device).view(shape)


def _recorded() -> bool:
    """Whether the graph must run without Variate: an exported one, or one that ``torch.jit.trace`` records."""
    return torch.compiler.is_exporting() or (
        not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None
    )


def _by_random_operations(kind: Kind, shape: torch.Size, device: torch.device) -> Tensor:
    """The same distributions, from ``randn`` and ``rand``."""
    if kind == "normal":
        return torch.randn(shape, device=device)
    unit = torch.rand(shape, device=device).clamp(LEAST, 1 - LEAST)
    if kind == "unit":
        return unit
    if kind == "uniform":
        return (unit - 0.5) * math.sqrt(12)
    if kind == "logistic":
        return (unit / (1 - unit)).log() * (math.sqrt(3) / math.pi)
    if kind == "laplace":
        return (unit - 0.5).sign() * (2 * torch.minimum(unit, 1 - unit)).log() * -math.sqrt(0.5)
    raise UsageError(f"no random operation makes {kind}", todo="export with format='torch-export'")


@torch.library.custom_op("variate::next_key", mutates_args=("ticket",))
def _next_key(ticket: Tensor, holder: int) -> Tensor:
    ticket.add_(1)
    return torch.tensor(_holders[holder].take_key(), device="cpu")


@_next_key.register_fake
def _(ticket: Tensor, holder: int) -> Tensor:
    return torch.empty((), dtype=torch.int64, device="cpu")


@torch.library.custom_op("variate::noise", mutates_args=())
def _noise(key: Tensor, uid: int, kind: int, shape: list[int]) -> Tensor:
    return eager.noise(KINDS[kind], int(key), uid % 2**64, shape, torch.device("cpu"))


@_noise.register_fake
def _(key: Tensor, uid: int, kind: int, shape: list[int]) -> Tensor:
    return torch.empty(shape, dtype=torch.float32, device="cpu")
