"""Which draw the next call of a random network uses: that of a fixed key, or of the next key in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from variate.random.handle import handle_of
from variate.random.keys import Stream, check_key


@contextmanager
def fixed(net: nn.Module, key: int, *, learn: bool = True) -> Iterator[None]:
    """Context in which every call of ``net`` uses the draw of ``key``.

    Args:
        net: a random network.
        key: key of the draw.
        learn: whether gradients reach the parameters.
    """
    handle = handle_of(net)
    before = handle.key, handle.learn
    handle.key, handle.learn = check_key(key), learn
    try:
        yield
    finally:
        handle.key, handle.learn = before


@contextmanager
def keys_from(net: nn.Module, stream: Stream) -> Iterator[None]:
    """Context in which ``net(x)`` takes its keys from ``stream``."""
    handle = handle_of(net)
    before, handle.stream = handle.stream, stream
    try:
        yield
    finally:
        handle.stream = before


def stream(net: nn.Module) -> Stream:
    """The stream from which ``net(x)`` takes its keys; seeded by the operating system unless another was set."""
    return handle_of(net).stream
