"""Several networks of one architecture as one random network, each of them a mode."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from variate.errors import UsageError
from variate.options import written
from variate.random.copies import copied
from variate.random.families.modes import Around
from variate.random.handle import handle_of
from variate.random.network import RandomNetwork
from variate.random.parameters import parameter_at, starting_sizes
from variate.random.randomize import randomize
from variate.random.scale import Share


def as_modes(
    networks: Sequence[nn.Module], *, around: Around = "normal", scale: float = 0.05, share: Share = "element"
) -> RandomNetwork:
    """A random network whose draws are near one of several networks: ``modes`` with their weights as centers.

    All modes are equally likely, and every parameter of a draw is that of the same network. Buffers, such as batch-norm
    statistics, are those of the first network, and are shared by all modes.

    Args:
        networks: two or more modules with parameters of the same names and shapes; not modified.
        around: ``normal`` noise around each mode, or ``fixed``: none.
        scale: standard deviation of that noise as a fraction of each tensor's root mean square, above 0.
        share: one learned scale per ``element``, ``channel``, ``tensor``, or one for the ``network``.

    Raises:
        UsageError: for fewer than two networks, and for networks with other parameters.
        RandomizeError: if the first cannot be made random.

    Example:
        >>> net = as_modes([nn.Linear(4, 2), nn.Linear(4, 2)])
        >>> net.weight_offsets.shape
        torch.Size([2, 2, 4])
    """
    if len(networks) < 2:
        raise UsageError(f"{len(networks)} networks have no modes to join", expected="two or more")
    first, *others = networks
    shapes = {name: parameter.shape for name, parameter in first.named_parameters()}
    for other in others:
        if {name: parameter.shape for name, parameter in other.named_parameters()} != shapes:
            raise UsageError(
                f"this {type(other).__name__} and this {type(first).__name__} have other parameters",
                expected="networks of one architecture",
            )
    family = written("modes", {"count": len(networks), "around": around, "share": share})
    net = randomize(copied(first), family, scale=scale)
    sites = handle_of(net).sites
    sizes = starting_sizes(first, sites)
    with torch.no_grad():
        for site in sites:
            mean = parameter_at(net, site.owners[0])
            rho, offsets = (parameter_at(net, place) for place in site.learned_places())
            values = torch.stack([parameter_at(network, site.owners[0]).to(mean) for network in networks])  # (K, ...)
            mean.copy_(values.mean(0))
            offsets.copy_(values - mean)
            rho.copy_(site.scaling.initial(mean, site.channel, site.scaling.scale or scale, sizes[site.name]))
    return net
