"""Which draw the next call of a random network uses: that of a fixed key, or of the next key in a stream.

Each thread has its own fixed key and its own borrowed stream. All functions take a random network or a module that
contains some: the first one in ``module.modules()`` uses the key itself, every other one a key derived from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.draw.recompute import THREAD
from variate.random.handle import handle_of
from variate.random.inside import check_random
from variate.random.keys import Stream, StreamName, check_key, sibling


@contextmanager
def fixed(net: nn.Module, key: int, *, learn: bool = True) -> Iterator[None]:
    """Context in which every call of ``net`` in this thread uses the draw of ``key``.

    Args:
        net: a random network.
        key: key of the draw.
        learn: whether gradients reach the parameters.
    """
    check_key(key)
    with holding(check_random(net).values(), key, learn=learn):
        yield


@contextmanager
def holding(networks: Iterable[nn.Module], key: int, *, learn: bool) -> Iterator[None]:
    """Context in which the first of these random networks uses the draw of ``key``, and the others of derived keys."""
    with ExitStack() as stack:
        for index, part in enumerate(networks):
            stack.enter_context(handle_of(part).holding(sibling(key, index), learn))
        yield


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
    networks = check_random(net)
    first = handle_of(next(iter(networks.values())))
    key = first.take_key() if key is None else check_key(key)
    with holding(networks.values(), key, learn=first.held().learn), ExitStack() as stack:
        for part in networks.values():
            stack.enter_context(_in_place(part))
        yield


@contextmanager
def standing(net: nn.Module, key: int, draw: Sequence[Tensor], *, learn: bool = True) -> Iterator[None]:
    """Context in which every call of ``net`` in this thread uses a draw that was made before.

    Args:
        net: a random network itself.
        key: key of the draw.
        draw: the drawn tensor of every site, in order.
        learn: whether gradients reach the parameters.
    """
    with handle_of(net).holding(key, learn), _in_place(net, draw):
        yield


@contextmanager
def _in_place(net: nn.Module, draw: Sequence[Tensor] | None = None) -> Iterator[None]:
    """Context in which the draw of the fixed key, or one given, stands in the modules, and no other thread's does."""
    handle = handle_of(net)
    with handle.turn:
        key, learn = handle.held()
        if draw is None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and learn):
                draw = handle.draw(net, handle.take_key())
        places, outer = handle.places_in(net), THREAD.draws
        before = places.put(draw, key, block=True)
        THREAD.draws = places, places.held, outer  # type: ignore[assignment]
        try:
            yield
        finally:
            THREAD.draws = outer
            places.back(before)


@contextmanager
def keys_from(net: nn.Module, stream: Stream) -> Iterator[None]:
    """Context in which ``net(x)`` takes its keys from ``stream``, in this thread."""
    with ExitStack() as stack:
        for part in check_random(net).values():
            stack.enter_context(handle_of(part).borrowing(stream))
        yield


def stream(net: nn.Module) -> Stream:
    """The stream from which ``net(x)`` takes its keys; seeded by the operating system unless another was set.

    Raises:
        UsageError: for a module that contains several random networks, each with a stream of its own.
    """
    streams = {id(own): own for part in check_random(net).values() for own in [handle_of(part).stream]}
    if len(streams) > 1:
        raise UsageError(
            f"{type(net).__name__} contains {len(streams)} random networks with a stream each",
            todo="ask for the stream of one of them, or give all one stream with variate.set_seed(net, seed)",
        )
    return next(iter(streams.values()))


def set_seed(net: nn.Module, seed: int | None, name: StreamName = "train") -> Stream:
    """Let every random network in ``net`` take its keys from one new stream, as ``variate.train`` does for its own.

    For a training loop of one's own: with ``torch.manual_seed`` for everything else that is random, the same seed gives
    the same training.

    Args:
        net: a random network, or a module that contains some.
        seed: any integer; None: fresh entropy from the operating system, as a deployed network needs.
        name: name of the stream; networks with streams of different names never share a key.

    Returns:
        The stream.
    """
    networks = check_random(net)
    shared = Stream("serve") if seed is None else Stream(name, seed)
    for part in networks.values():
        handle_of(part).stream = shared
    return shared
