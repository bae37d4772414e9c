"""Which draw the next call of a random network uses: that of a fixed key, or of the next key in a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from variate.random.draw.recompute import THREAD
from variate.random.handle import handle_of
from variate.random.inside import inner_networks
from variate.random.keys import Stream, check_key, sibling


@contextmanager
def fixed(net: nn.Module, key: int, *, learn: bool = True) -> Iterator[None]:
    """Context in which every call of ``net`` uses the draw of ``key``.

    Args:
        net: a random network. Random networks inside it use siblings of the key.
        key: key of the draw.
        learn: whether gradients reach the parameters.
    """
    networks = [net, *inner_networks(net)]
    handles = [handle_of(network) for network in networks]
    before = [(handle.key, handle.learn) for handle in handles]
    check_key(key)
    for index, handle in enumerate(handles):
        handle.key, handle.learn = sibling(key, index), learn
    try:
        yield
    finally:
        for handle, (key_before, learn_before) in zip(handles, before, strict=True):
            handle.key, handle.learn = key_before, learn_before


@contextmanager
def drawn(net: nn.Module, key: int | None = None) -> Iterator[None]:
    """Context in which everything in ``net`` sees one draw: its methods and modules too, not only its forward.

    This is ``fixed`` with the draw in place from the beginning: ``net.generate(...)``, ``net.encode(x)`` and
    ``net.backbone(x)`` use it. It is made once, in the grad mode of the beginning, and gradients reach the means and
    scales through it. ``net.parameters()`` and ``net.state_dict()`` remain the means and scales, for a step of training
    inside the block; a step does not change the draw.

    Args:
        net: a random network. Random networks inside it use siblings of the key.
        key: key of the draw; None: the next key of the network's stream.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from variate.random.randomize import randomize
        >>> net = randomize(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
        >>> x = torch.ones(1, 4)
        >>> with drawn(net, 3):
        ...     one, other = net(x), net[1](net[0](x))
        >>> bool((one == other).all())
        True
    """
    key = handle_of(net).take_key() if key is None else key
    with fixed(net, key, learn=handle_of(net).learn):
        outer, before = THREAD.draws, []
        try:
            for network in [net, *inner_networks(net)]:
                handle = handle_of(network)
                places = handle.places_in(network)
                with torch.set_grad_enabled(torch.is_grad_enabled() and handle.learn):
                    draw = handle.draw(network, handle.take_key())
                before.append((places, places.put(draw, handle.key, block=True)))
                if places.held is not None:
                    THREAD.draws = places, places.held, THREAD.draws
            yield
        finally:
            THREAD.draws = outer
            for places, held in reversed(before):
                places.back(held)


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
