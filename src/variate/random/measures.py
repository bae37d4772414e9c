"""What is random in a network, and how much: sites, standard deviations, sizes, KL and entropy."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.random.distribution import Site
from variate.random.handle import handle_of
from variate.random.parameters import describe_exceptions, parameter_at, qualified, root_mean_squares


def sites(net: nn.Module) -> tuple[Site, ...]:
    """The random parameters of ``net``, with the family of each."""
    return handle_of(net).sites


def stds(net: nn.Module) -> dict[str, Tensor]:
    """The standard deviation of every random parameter by name, differentiable."""
    return {site.name: site.distribution.std(*group) for site, group in handle_of(net).scaled(net)}


def kl(net: nn.Module, prior_std: float) -> Tensor:
    """KL(q || N(0, prior_std^2)) in nats, summed over all random parameters, differentiable: a scalar."""
    parts = [site.distribution.kl(*group, prior_std=prior_std) for site, group in handle_of(net).scaled(net)]
    return torch.stack([part.float() for part in parts]).sum()


def entropy(net: nn.Module) -> Tensor:
    """Entropy in nats, summed over all random parameters, differentiable: a scalar."""
    return torch.stack([site.distribution.entropy(*group).float() for site, group in handle_of(net).scaled(net)]).sum()


def sizes(net: nn.Module) -> dict[str, Tensor]:
    """The size (root mean square of the mean) of every random parameter, a reference for its noise; detached."""
    return root_mean_squares(net, handle_of(net).sites)


def differs(net: nn.Module, key: int, other: int) -> bool:
    """Whether the weights of two draws differ anywhere."""
    handle = handle_of(net)
    with torch.no_grad():
        pairs = zip(handle.draw(net, key), handle.draw(net, other), strict=True)
        return any(not torch.equal(first, second) for first, second in pairs)


def scale_parameters(net: nn.Module) -> list[nn.Parameter]:
    """The learned tensors other than the means."""
    return [parameter_at(net, place) for place in handle_of(net).learned_places()]


def deterministic_parameters(net: nn.Module) -> list[str]:
    """The names of the deterministic parameters."""
    handle = handle_of(net)
    learned = {qualified(place) for place in handle.learned_places()}
    return [name for name in describe_exceptions(net, list(handle.sites)) if name not in learned]
