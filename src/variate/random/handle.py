"""The state of a random network, in one object behind one private attribute of the user's module."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from variate.errors import RandomizeError, UsageError
from variate.random.distribution import HALF, Site
from variate.random.draw.node import Draws
from variate.random.draw.shadows import Places
from variate.random.keys import Stream
from variate.random.noise import traced
from variate.random.parameters import HANDLE, running_sizes
from variate.random.scale import one


class Hold(NamedTuple):
    """The key that calls use, if one is fixed, and whether gradients reach the parameters."""

    key: int | None
    learn: bool


class Handle:
    """The state of one random network. Means and scales are not here: they are parameters of the user's modules.

    The network refers to its handle but not the reverse: without a cycle, memory is freed with the last reference. A
    copy does not share caches, nor keys that come from the system's entropy.

    What is fixed is fixed for one thread, and forward passes of different threads take turns: a draw stands in the
    modules that all threads share.

    Args:
        sites: the random parameters.
        original: class of the user's module.
        taken: public names that the user's module defines itself, which the random network therefore leaves alone.
        parts: names of the module's own submodules and parameters.
        stream: source of the keys of ``net(x)``; None: a new stream, seeded from the operating system's entropy.
        key: the fixed key, if any.
        learn: whether gradients reach the parameters.
        priors: the prior of each site that has its own, by name (``variate.random.priors``).

    Attributes:
        draws: makes the draws.
        ticket: tensor of one int64, written at every run of a compiled graph so that no two runs are merged.
        holder: number under which compiled graphs request keys.
        writes: whether a forward writes into its own weights; None: no forward has been watched yet.
        slopes: whether a forward takes gradients in its own weights, which must then require them in every draw.
        told: methods that have said that they ran at the means.
        key: the key that was fixed last in any thread, for graphs being traced.
        learn: the same for whether gradients reach the parameters.
        turn: held by the thread whose draw stands in the modules.
        network: weak reference to the network, set by ``attach``.
    """

    def __init__(
        self,
        sites: tuple[Site, ...],
        original: type[nn.Module],
        taken: frozenset[str] = frozenset(),
        parts: frozenset[str] = frozenset(),
        stream: Stream | None = None,
        key: int | None = None,
        learn: bool = True,
        priors: Mapping[str, str] | None = None,
    ) -> None:
        self.sites = sites
        self.original = original
        self.taken = taken
        self.parts = parts
        self.priors = dict(priors or {})
        self._stream = stream or Stream("serve")
        self.key = key
        self.learn = learn
        self._own = Hold(key, learn)
        self._holds: dict[int, Hold] = {}  # by thread
        self._borrowed: dict[int, Stream] = {}  # by thread
        self.turn = threading.RLock()
        self.network: weakref.ref[nn.Module] | None = None
        _handles.add(self)
        self.draws = Draws(sites)
        self.ticket = torch.zeros((), dtype=torch.int64, device="cpu")
        self.holder = traced.enlist(self)
        self.writes: bool | None = None
        self.slopes = False
        self.told: set[str] = set()
        self._places: Places | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        stream = (
            None if self.stream.seed is None else self.stream
        )  # a copy that repeats these keys would be predictable
        return Handle, (self.sites, self.original, self.taken, self.parts, stream, *self.held(), self.priors)

    @property
    def stream(self) -> Stream:
        """The source of this thread's keys."""
        return self._borrowed.get(threading.get_ident(), self._stream) if self._borrowed else self._stream

    @stream.setter
    def stream(self, stream: Stream) -> None:
        self._stream = stream

    @contextmanager
    def borrowing(self, stream: Stream) -> Iterator[None]:
        """Context in which this thread takes its keys from ``stream``."""
        thread = threading.get_ident()
        before, self._borrowed[thread] = self._borrowed.get(thread), stream
        try:
            yield
        finally:
            _restore(self._borrowed, thread, before)

    @contextmanager
    def holding(self, key: int, learn: bool) -> Iterator[None]:
        """Context in which calls in this thread use the draw of ``key``."""
        thread = threading.get_ident()
        before, self._holds[thread] = self._holds.get(thread), Hold(key, learn)
        self.key, self.learn = key, learn
        try:
            yield
        finally:
            _restore(self._holds, thread, before)
            self.key, self.learn = next(reversed(list(self._holds.values())), self._own) if before is None else before

    def held(self) -> Hold:
        """What is fixed in this thread.

        A thread that Python did not start, such as one of autograd's that recomputes a checkpoint, has nothing of its
        own: there it is what was fixed last.
        """
        if not self._holds:
            return self._own
        hold = self._holds.get(threading.get_ident())
        if hold is not None:
            return hold
        foreign = isinstance(threading.current_thread(), threading._DummyThread)
        return Hold(self.key, self.learn) if foreign else self._own

    def take_key(self) -> int:
        """The key of the next call: the fixed key, or the next one of the stream."""
        key = self.held().key
        return self.stream.next() if key is None else key

    def holds_draw(self) -> bool:
        """Whether a draw is in place now: in a ``drawn`` block, or in a forward."""
        return self._places is not None and self._places.held is not None

    @contextmanager
    def without_draw(self) -> Iterator[None]:
        """Context in which the parameters themselves are in place, even inside a draw."""
        with self.turn:
            places = self._places
            with nullcontext() if places is None or places.held is None else places.aside():
                yield

    def places_in(self, net: nn.Module) -> Places:
        """Where the sites are now in ``net``, the network of this handle."""
        places = self._places
        if places is None or not places.hold(net):
            places = self._places = Places(net, self.sites)
        return places

    def draw(self, net: nn.Module, key: int) -> list[Tensor]:
        """One draw of every site, differentiable where grad mode is on."""
        return self.draws.draw(key, self.places_in(net).groups(), self.units(net))

    def draw_many(self, net: nn.Module, keys: Sequence[int], indices: Sequence[int] | None = None) -> list[Tensor]:
        """The draws of many keys, stacked, for all sites or those at ``indices``: (S, ...) each."""
        indices = list(range(len(self.sites))) if indices is None else list(indices)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.held().learn):
            return self.draws.many(keys, self.places_in(net).groups(), self.units(net), indices)

    def scaled(self, net: nn.Module, *, widen: bool = False) -> Iterator[tuple[Site, tuple[Tensor, ...]]]:
        """Every site with (mean, scale, *learned); ``widen`` computes half precision in float32."""
        groups, units = self.places_in(net).groups(), self.units(net) or [None] * len(self.sites)
        for site, group, unit in zip(self.sites, groups, units, strict=True):
            mean, rho, *learned = [t.float() if widen and t.dtype in HALF else t for t in group]
            scale = site.scaling.scale_of(rho, one(mean) if unit is None else unit)
            yield site, (mean, scale, *learned)

    def units(self, net: nn.Module) -> list[Tensor | None] | None:
        """The size of every site whose scale depends on it; None if no scale does."""
        if not self.draws.needs_unit:
            return None
        sizes = running_sizes(net, self.sites)
        return [
            sizes[site.name] if scaling.needs_unit and not distribution.relative else None
            for site, scaling, distribution in zip(
                self.sites, self.draws.scalings, self.draws.distributions, strict=True
            )
        ]

    def learned_places(self) -> list[tuple[str, str]]:
        """(path, attribute) of every learned tensor other than the means, once each."""
        return list(dict.fromkeys(place for site in self.sites for place in site.learned_places()))

    def scale_places(self) -> list[tuple[str, str]]:
        """Those of ``learned_places`` that shape the noise, rather than being values of weights."""
        return list(dict.fromkeys(place for site in self.sites for place in site.scale_places()))


def handle_of(net: nn.Module) -> Handle:
    """The handle of a random network.

    Raises:
        UsageError: for any other module.
        RandomizeError: if the user's own code has overwritten it.
    """
    handle = getattr(net, HANDLE, None)
    if isinstance(handle, Handle):
        return handle
    if handle is None:
        raise UsageError(
            f"{type(net).__name__} is not a random network", todo="make it one with variate.randomize(net)"
        )
    raise RandomizeError(
        f"the code of {type(net).__name__} has set {HANDLE}, where a random network keeps its state",
        todo=f"rename the module's own attribute {HANDLE}",
    )


def _restore(by_thread: dict[int, Any], thread: int, before: Any) -> None:
    if before is None:
        del by_thread[thread]
    else:
        by_thread[thread] = before


_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def attach(net: nn.Module, handle: Handle) -> None:
    """Make ``handle`` that of ``net``."""
    vars(net)[HANDLE] = handle
    handle.network = weakref.ref(net)


def live_scales() -> set[int]:
    """The ids of the learned tensors that shape the noise, of all random networks of this process."""
    ids = set()
    for handle in list(_handles):
        net = handle.network() if handle.network is not None else None
        if net is None:
            continue
        for path, name in handle.scale_places():
            with suppress(AttributeError):  # of a module that was replaced
                ids.add(id(net.get_submodule(path)._parameters.get(name)))
    return ids - {id(None)}


def _in_a_child() -> None:
    """After a fork: only the thread that forked lives on, and another may have held its turn."""
    for handle in list(_handles):
        handle.turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_child)
