"""Putting a draw where the modules look for their weights, and removing it.

During a forward pass a drawn tensor replaces the registered parameter, and the scales are not registered, so that
``self.weight``, ``self.parameters()`` and ``functional_call`` inside the forward all see the draw alone. In a block
(``drawn``), where the user's code may also take a step of training, it goes into the owning module's ``__dict__``
instead, where Python finds it before the registered parameter, which stays. The parameter itself never changes.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from variate.errors import RandomizeError
from variate.random.distribution import Site


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """A draw that is in place.

    Attributes:
        drawn: the drawn tensor of every site.
        key: its key; None for the draws of many keys.
        block: whether it is shown as attributes only, and the registered parameters stay.
        thread: the thread that put it there.
    """

    drawn: Sequence[Tensor]
    key: int | None
    block: bool
    thread: int


class Places:
    """The modules and attributes of a network's sites, looked up once.

    Args:
        root: the network.
        sites: its random parameters.

    Attributes:
        held: the draw that is in place now, if any.
        replaced: whether a forward pass put another tensor in the place of a drawn one.
    """

    def __init__(self, root: nn.Module, sites: Sequence[Site]) -> None:
        self._root = weakref.ref(root)  # the network refers to this: without a cycle, its memory is freed at once
        self._links: list[tuple[dict[str, Any], str, nn.Module]] = []
        self._slots: list[tuple[dict[str, Any], dict[str, Any], str, int]] = []
        self._flat: list[tuple[nn.RNNBase, int, str, int]] = []
        self._groups: list[list[tuple[dict[str, nn.Parameter | None], str]]] = []
        self._means: list[Any] = []
        self._scales: list[Any] = []
        self.held: Held | None = None
        self.replaced = False
        self._resting: tuple[Held | None] | None = None  # what was in place before this backward pass
        seen: set[str] = set()
        for site_index, site in enumerate(sites):
            for path, attribute in site.owners:
                owner = self._walk(root, path, seen)
                self._slots.append((owner._parameters, vars(owner), attribute, site_index))
                if isinstance(owner, nn.RNNBase):
                    index = owner._flat_weights_names.index(attribute)
                    self._flat.append((owner, index, attribute, site_index))
            places = [site.owners[0], *site.learned_places()]
            self._groups.append([(self._walk(root, path, seen)._parameters, attribute) for path, attribute in places])

        learned = [place for group in self._groups for place in group[1:]]
        self._learned = list({(id(registered), name): (registered, name) for registered, name in learned}.values())

    def hold(self, root: nn.Module) -> bool:
        """Whether every module is still in place: users replace modules, and a copy has its own."""
        return root is self._root() and all(modules.get(name) is child for modules, name, child in self._links)

    def groups(self) -> list[tuple[Tensor, ...]]:
        """(mean, rho, *learned) of every site, as registered now. Raises ``RandomizeError`` if one is missing."""
        if self.held is not None and not self.held.block:
            with self.aside():
                return self.groups()
        try:
            return [tuple([registered[name] for registered, name in group]) for group in self._groups]  # type: ignore[misc]
        except KeyError as error:
            raise _lost(str(error.args[0])) from error

    def put(self, drawn: Sequence[Tensor], key: int | None = None, *, block: bool = False) -> Held | None:
        """Put a draw in place; returns the one that was there, for ``back``."""
        before = self.held
        self.back(Held(drawn, key, block, get_ident()))
        return before

    def back(self, held: Held | None) -> None:
        """Put back what was in place before: another draw, or the parameters themselves (None)."""
        now, self.held = self.held, held
        if now is not None and now.block:
            for _, namespace, attribute, _ in self._slots:
                namespace.pop(attribute, None)
        elif now is not None:
            for (registered, _, attribute, site_index), mean in zip(self._slots, self._means, strict=True):
                self.replaced |= registered.get(attribute) is not now.drawn[site_index]
                registered[attribute] = mean
            for (registered, name), scale in zip(self._learned, self._scales, strict=True):
                registered[name] = scale
        if parametrize._cache_enabled:  # what was computed from other weights
            parametrize._cache.clear()
        if held is None:
            self._means, self._scales = [], []
            for owner, index, attribute, _ in self._flat:
                _set_flat_weight(owner, index, owner._parameters[attribute])
            return
        drawn = held.drawn
        if held.block:
            for _, namespace, attribute, site_index in self._slots:
                namespace[attribute] = drawn[site_index]
        else:
            self._means = [registered[attribute] for registered, _, attribute, _ in self._slots]
            for registered, _, attribute, site_index in self._slots:
                registered[attribute] = drawn[site_index]
            self._scales = [registered.pop(name) for registered, name in self._learned]
        for owner, index, _, site_index in self._flat:
            _set_flat_weight(owner, index, drawn[site_index])

    def recall(self, drawn: Sequence[Tensor]) -> None:
        """Put the draw of an earlier forward in place until the backward pass ends."""
        if self._resting is None:
            self._resting = (self.held,)
        if self.held is None or self.held.drawn is not drawn:
            self.back(Held(drawn, None, True, 0))  # of no thread: a forward that runs meanwhile makes its own draw

    def end_of_backward(self) -> None:
        """Put back what was in place before ``recall``."""
        if self._resting is not None:
            (held,), self._resting = self._resting, None
            self.back(held)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Context in which the parameters themselves are in place, even inside a draw."""
        held = self.held
        self.back(None)
        try:
            yield
        finally:
            self.back(held)

    def _walk(self, root: nn.Module, path: str, seen: set[str]) -> nn.Module:
        """The module at a path; the links on the way are recorded."""
        module, so_far = root, ""
        for name in filter(None, path.split(".")):
            child = module._modules[name]
            if child is None:
                raise _lost(path)
            so_far = f"{so_far}.{name}"
            if so_far not in seen:
                seen.add(so_far)
                self._links.append((module._modules, name, child))
            module = child
        return module


def _set_flat_weight(owner: nn.RNNBase, index: int, weight: Tensor | None) -> None:
    """Set a weight in a recurrent layer's own list, and in the weak references that trigger a rebuild of it."""
    if weight is not None:
        owner._flat_weights[index] = weight
        owner._flat_weight_refs[index] = weakref.ref(cast(nn.Parameter, weight))


def _lost(name: str) -> RandomizeError:
    return RandomizeError(
        f"a module of the network has lost its random parameter {name!r}", todo="randomize the changed module again"
    )
