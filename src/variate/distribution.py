"""How one tensor is random: the family of its distribution, and the draw of many tensors in one autograd node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from variate import registry


class Family(ABC):
    """A family of distributions for one parameter tensor.

    The mean is the parameter itself, under its own name. ``learned`` names the unconstrained tensors registered beside
    it; their values are arguments of every method, in that order. All tensors have the parameter's shape.
    """

    learned: ClassVar[tuple[str, ...]]

    @abstractmethod
    def initialize(self, mean: Tensor, std: float) -> tuple[Tensor, ...]:
        """The learned tensors that give every element of ``mean`` the standard deviation ``std`` (> 0)."""

    @abstractmethod
    def noise(self, key: int, uid: int, like: Tensor) -> Tensor:
        """Parameter-free noise of ``like``'s shape, dtype and device: a pure function of (key, uid, element)."""

    @abstractmethod
    def sample(self, noise: Tensor, mean: Tensor, *learned: Tensor) -> Tensor:
        """The reparameterized draw, differentiable in ``mean`` and ``learned``."""

    @abstractmethod
    def std(self, mean: Tensor, *learned: Tensor) -> Tensor:
        """The standard deviation of every element, differentiable."""

    @abstractmethod
    def kl(self, mean: Tensor, *learned: Tensor, prior_std: float) -> Tensor:
        """KL(q || N(0, prior_std^2)) in nats, summed over all elements: a scalar."""

    @abstractmethod
    def entropy(self, mean: Tensor, *learned: Tensor) -> Tensor:
        """Differential entropy in nats, summed over all elements: a scalar."""


@dataclass(frozen=True)
class Site:
    """One random parameter: a tensor with all the places where modules look for it (more than one if it is tied).

    Attributes:
        name: the parameter's first qualified name, such as ``conv1.weight``.
        family: the name of its family.
        owners: (path of the module, name of the attribute) for every place.
        uid: the tensor's number in the noise counter: a hash of its name, so it does not depend on other parameters.
    """

    name: str
    family: str
    owners: tuple[tuple[str, str], ...]
    uid: int

    @property
    def law(self) -> Family:
        """The site's family, ready to use."""
        return family_named(self.family)

    def learned_places(self) -> list[tuple[str, str]]:
        """(path, attribute) of every learned tensor: beside the mean, on the first owner."""
        path, attribute = self.owners[0]
        return [(path, f"{attribute}_{suffix}") for suffix in self.law.learned]


@cache
def family_named(name: str) -> Family:
    """The family with a registered name."""
    return cast(Family, registry.get("families", name).load()())


def draw(key: int, sites: Sequence[Site], tensors: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """One draw of every site under ``key``; ``tensors[i]`` is (mean, *learned) of ``sites[i]``.

    The noise is not kept for the backward pass: one autograd node over all sites makes it again from the key.
    """
    flat = [tensor for group in tensors for tensor in group]
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in flat)):
        return [_sample(key, site, group) for site, group in zip(sites, tensors, strict=True)]
    return list(_Draw.apply(key, tuple(sites), *flat))  # type: ignore[no-untyped-call]


def _sample(key: int, site: Site, group: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        noise = site.law.noise(key, site.uid, group[0])
    return site.law.sample(noise, *group)


class _Draw(torch.autograd.Function):
    """All sites drawn in one node; the backward regenerates the noise from the key, one site at a time."""

    @staticmethod
    def forward(ctx: Any, key: int, sites: tuple[Site, ...], *flat: Tensor) -> tuple[Tensor, ...]:
        ctx.key, ctx.sites = key, sites
        ctx.save_for_backward(*flat)
        return tuple(_sample(key, site, group) for site, group in zip(sites, _grouped(sites, flat), strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[2:]
        found: list[Tensor | None] = []
        for site, group, grad in zip(ctx.sites, _grouped(ctx.sites, ctx.saved_tensors), grads, strict=True):
            need = wanted[len(found) : len(found) + len(group)]
            found += _site_gradient(ctx.key, site, group, grad, need)
        return None, None, *found


def _site_gradient(
    key: int, site: Site, group: Sequence[Tensor], grad: Tensor, need: Sequence[bool]
) -> list[Tensor | None]:
    leaves = [tensor.detach().requires_grad_(wanted) for tensor, wanted in zip(group, need, strict=True)]
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    if not asked:
        return [None] * len(leaves)
    with torch.enable_grad():
        gradients = iter(torch.autograd.grad(_sample(key, site, leaves), asked, grad))
    return [next(gradients) if leaf.requires_grad else None for leaf in leaves]


def _grouped(sites: Sequence[Site], flat: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    """Split a flat list back into (mean, *learned) per site."""
    groups: list[Sequence[Tensor]] = []
    start = 0
    for site in sites:
        end = start + 1 + len(site.law.learned)
        groups.append(flat[start:end])
        start = end
    return groups
