"""The state of a random network, in one object behind one private attribute of the user's module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from variate.errors import RandomizeError, UsageError
from variate.random.distribution import HALF, Site
from variate.random.draw.node import Draws
from variate.random.draw.shadows import Places
from variate.random.keys import Stream
from variate.random.noise import traced
from variate.random.parameters import HANDLE, root_mean_squares
from variate.random.scale import one


class Handle:
    """The state of one random network. Means and scales are not here: they are parameters of the user's modules.

    The network refers to its handle but not the reverse: without a cycle, memory is freed with the last reference. A
    copy does not share caches, nor keys that come from the system's entropy.

    Args:
        sites: the random parameters.
        original: class of the user's module.
        taken: public names that the user's module defines itself, which the random network therefore leaves alone.
        parts: names of the module's own submodules and parameters.
        stream: source of the keys of ``net(x)``; None: a new stream, seeded from the operating system's entropy.
        key: the fixed key, if any.
        learn: whether gradients reach the parameters.

    Attributes:
        draws: makes the draws.
        ticket: tensor of one int64, written at every run of a compiled graph so that no two runs are merged.
        holder: number under which compiled graphs request keys.
        told: methods that have said that they ran at the means.
        writes: whether a forward writes into its own weights; None: no forward has been watched yet.
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
    ) -> None:
        self.sites = sites
        self.original = original
        self.taken = taken
        self.parts = parts
        self.stream = stream or Stream("serve")
        self.key = key
        self.learn = learn
        self.draws = Draws(sites)
        self.ticket = torch.zeros((), dtype=torch.int64, device="cpu")
        self.holder = traced.enlist(self)
        self.writes: bool | None = None
        self.told: set[str] = set()
        self._places: Places | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        stream = (
            None if self.stream.seed is None else self.stream
        )  # a copy that repeats these keys would be predictable
        return Handle, (self.sites, self.original, self.taken, self.parts, stream, self.key, self.learn)

    def take_key(self) -> int:
        """The key of the next call: the fixed key, or the next one of the stream."""
        return self.stream.next() if self.key is None else self.key

    def holds_draw(self) -> bool:
        """Whether a draw is in place now: in a ``drawn`` block, or in a forward."""
        return self._places is not None and self._places.held is not None

    @contextmanager
    def without_draw(self) -> Iterator[None]:
        """Context in which the parameters themselves are in place, even inside a draw."""
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
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.learn):
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
        sizes = root_mean_squares(net, self.sites)
        return [
            sizes[site.name] if scaling.needs_unit and not distribution.relative else None
            for site, scaling, distribution in zip(
                self.sites, self.draws.scalings, self.draws.distributions, strict=True
            )
        ]

    def learned_places(self) -> list[tuple[str, str]]:
        """(path, attribute) of every learned tensor other than the means, once each."""
        return list(dict.fromkeys(place for site in self.sites for place in site.learned_places()))


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
