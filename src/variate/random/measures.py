"""What is random in a network, and how much: sites, standard deviations, sizes, KL and entropy.

All functions take a random network or a module that contains some. Names are those of the module's own parameters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from variate.random.distribution import Site
from variate.random.handle import handle_of
from variate.random.inside import check_random, networks_in, seen_through
from variate.random.keys import sibling
from variate.random.parameters import describe_exceptions, parameter_at, qualified, starting_sizes
from variate.random.priors import divergence_of


def sites(net: nn.Module) -> tuple[Site, ...]:
    """The random parameters of ``net``, with the family of each."""
    return tuple(_within(path, site) for path, part in networks_in(net).items() for site in handle_of(part).sites)


def stds(net: nn.Module) -> dict[str, Tensor]:
    """The standard deviation of every random parameter by name, differentiable."""
    return {site.name: site.distribution.std(*group) for site, group in _scaled(net)}


def kl(net: nn.Module, prior_std: float | None = None) -> Tensor:
    """KL(q || prior) in nats, summed over all random parameters, differentiable: a scalar.

    In float32 for half precision, whose sums would overflow, and in float64 for double.

    Args:
        net: a random network, or a module that contains some.
        prior_std: standard deviation of the prior N(0, prior_std^2) of the parameters without a prior of their own
            (``randomize(net, priors={...})``); None if all have one.

    Raises:
        UsageError: if a parameter has no prior of its own and ``prior_std`` is None.
    """
    return _sum(
        [
            divergence_of(part, site, group, prior_std)
            for part in networks_in(net).values()
            for site, group in handle_of(part).scaled(part, widen=True)
        ]
    )


def entropy(net: nn.Module) -> Tensor:
    """Entropy in nats, summed over all random parameters, differentiable: a scalar, as precise as ``kl``."""
    return _sum([site.distribution.entropy(*group) for site, group in _scaled(net, widen=True)])


def sizes(net: nn.Module) -> dict[str, Tensor]:
    """The size (root mean square of the mean) of every random parameter, a reference for its noise; detached."""
    return {
        qualified((path, name)): size
        for path, part in networks_in(net).items()
        for name, size in starting_sizes(part, handle_of(part).sites).items()
    }


def differs(net: nn.Module, key: int, other: int) -> bool:
    """Whether the weights of two draws differ anywhere."""
    with torch.no_grad():
        for index, part in enumerate(check_random(net).values()):
            drawn, redrawn = (handle_of(part).draw(part, sibling(k, index)) for k in (key, other))
            if any(not torch.equal(first, second) for first, second in zip(drawn, redrawn, strict=True)):
                return True
    return False


def scale_parameters(net: nn.Module) -> list[nn.Parameter]:
    """The learned tensors that shape the noise: all but the means and the centers of modes."""
    return [parameter_at(part, place) for part in networks_in(net).values() for place in handle_of(part).scale_places()]


def deterministic_parameters(net: nn.Module) -> list[str]:
    """The names of the deterministic parameters."""
    networks = networks_in(net)
    learned = {qualified((path, qualified(p))) for path, n in networks.items() for p in handle_of(n).learned_places()}
    return [name for name in describe_exceptions(seen_through(net), list(sites(net))) if name not in learned]


def _scaled(net: nn.Module, *, widen: bool = False) -> Iterator[tuple[Site, tuple[Tensor, ...]]]:
    """Every site of every network with (mean, scale, *learned)."""
    for path, part in networks_in(net).items():
        for site, group in handle_of(part).scaled(part, widen=widen):
            yield _within(path, site), group


def _within(path: str, site: Site) -> Site:
    """A site of the network at ``path``, as a site of the module that contains it."""
    if not path:
        return site
    owners = tuple((qualified((path, owner)), attribute) for owner, attribute in site.owners)
    return replace(site, name=f"{path}.{site.name}", owners=owners)


def _sum(parts: list[Tensor]) -> Tensor:
    """The sum of scalars, in the widest of their types."""
    return functools.reduce(torch.add, [part.to(parts[0].device) for part in parts])
