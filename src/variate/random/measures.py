"""What is random in a network, and how much: sites, standard deviations, sizes, KL and entropy."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from variate.random.distribution import Site
from variate.random.handle import handle_of
from variate.random.parameters import HANDLE, describe_exceptions, parameter_at, qualified, root_mean_squares


def sites(net: nn.Module) -> tuple[Site, ...]:
    """The random parameters of ``net``, with the family of each."""
    return handle_of(net).sites


def stds(net: nn.Module) -> dict[str, Tensor]:
    """The standard deviation of every random parameter by name, differentiable."""
    return {
        qualified((path, site.name)): site.distribution.std(*group)
        for path, network in _networks(net)
        for site, group in handle_of(network).scaled(network)
    }


def kl(net: nn.Module, prior_std: float) -> Tensor:
    """KL(q || N(0, prior_std^2)) in nats, summed over all random parameters, differentiable: a scalar.

    In float32 for half precision, whose sums would overflow, and in float64 for double.
    """
    return _total([site.distribution.kl(*group, prior_std=prior_std) for site, group in _widened(net)])


def entropy(net: nn.Module) -> Tensor:
    """Entropy in nats, summed over all random parameters, differentiable: a scalar, as precise as ``kl``."""
    return _total([site.distribution.entropy(*group) for site, group in _widened(net)])


def _networks(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """A random network and those inside it, with their paths."""
    handle_of(net)
    return [(path, part) for path, part in net.named_modules() if part is net or HANDLE in vars(part)]


def _widened(net: nn.Module) -> Iterator[tuple[Site, tuple[Tensor, ...]]]:
    for _, network in _networks(net):
        yield from handle_of(network).scaled(network, widen=True)


def _total(parts: list[Tensor]) -> Tensor:
    """The sum of scalars in the widest of their types and float32."""
    return functools.reduce(torch.add, parts)


def sizes(net: nn.Module) -> dict[str, Tensor]:
    """The size (root mean square of the mean) of every random parameter, a reference for its noise; detached."""
    return {
        qualified((path, name)): size
        for path, network in _networks(net)
        for name, size in root_mean_squares(network, handle_of(network).sites).items()
    }


def differs(net: nn.Module, key: int, other: int) -> bool:
    """Whether the weights of two draws differ anywhere."""
    with torch.no_grad():
        for _, network in _networks(net):
            pairs = zip(*(handle_of(network).draw(network, one) for one in (key, other)), strict=True)
            if any(not torch.equal(first, second) for first, second in pairs):
                return True
    return False


def scale_parameters(net: nn.Module) -> list[nn.Parameter]:
    """The learned tensors other than the means, those of random networks inside ``net`` too."""
    return [
        parameter_at(network, place) for _, network in _networks(net) for place in handle_of(network).learned_places()
    ]


def deterministic_parameters(net: nn.Module) -> list[str]:
    """The names of the deterministic parameters."""
    random: set[str] = set()
    for path, network in _networks(net):
        handle = handle_of(network)
        owned = [*handle.learned_places(), *(owner for site in handle.sites for owner in site.owners)]
        random |= {qualified((path, qualified(place))) for place in owned}
    return [name for name in describe_exceptions(net, list(handle_of(net).sites)) if name not in random]
