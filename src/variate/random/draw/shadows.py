"""Putting a draw where the modules look for their weights, and removing it.

A drawn tensor goes into the owning module's ``__dict__``, where Python finds it before the registered parameter. The
parameter itself does not change.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn

from variate.errors import RandomizeError
from variate.random.distribution import Site


class Places:
    """The modules and attributes of a network's sites, looked up once.

    Args:
        root: the network.
        sites: its random parameters.
    """

    def __init__(self, root: nn.Module, sites: Sequence[Site]) -> None:
        self._root = weakref.ref(root)  # the network refers to this: without a cycle, its memory is freed at once
        self._links: list[tuple[dict[str, Any], str, nn.Module]] = []
        self._shadows: list[tuple[dict[str, Any], str, int]] = []
        self._flat: list[tuple[nn.RNNBase, int, str, int]] = []
        self._groups: list[list[tuple[dict[str, nn.Parameter | None], str]]] = []
        seen: set[str] = set()
        for site_index, site in enumerate(sites):
            for path, attribute in site.owners:
                owner = self._walk(root, path, seen)
                self._shadows.append((vars(owner), attribute, site_index))
                if isinstance(owner, nn.RNNBase):
                    index = owner._flat_weights_names.index(attribute)
                    self._flat.append((owner, index, attribute, site_index))
            places = [site.owners[0], *site.learned_places()]
            self._groups.append([(self._walk(root, path, seen)._parameters, attribute) for path, attribute in places])

    def hold(self, root: nn.Module) -> bool:
        """Whether every module is still in place: users replace modules, and a copy has its own."""
        return root is self._root() and all(modules.get(name) is child for modules, name, child in self._links)

    def groups(self) -> list[tuple[Tensor, ...]]:
        """(mean, rho, *learned) of every site, as registered now. Raises ``RandomizeError`` if one is missing."""
        try:
            return [tuple([registered[name] for registered, name in group]) for group in self._groups]  # type: ignore[misc]
        except KeyError as error:
            raise _lost(str(error.args[0])) from error

    def put(self, drawn: Sequence[Tensor]) -> None:
        """Shadow the parameters with a draw."""
        for namespace, attribute, site_index in self._shadows:
            namespace[attribute] = drawn[site_index]
        for owner, index, _, site_index in self._flat:
            _set_flat_weight(owner, index, drawn[site_index])

    def clear(self) -> None:
        """Remove the draw, if any, so that the modules see the parameters again."""
        for namespace, attribute, _ in self._shadows:
            namespace.pop(attribute, None)
        for owner, index, attribute, _ in self._flat:
            _set_flat_weight(owner, index, owner._parameters[attribute])

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
