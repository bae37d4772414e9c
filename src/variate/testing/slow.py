"""The slow, obvious forward pass of a random network: the reference for the fast one."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.func import functional_call

from variate.random import measures, plain
from variate.random.network import RandomNetwork
from variate.random.parameters import qualified
from variate.random.scale import one


def slow_forward(network: RandomNetwork, key: int, *args: Any, **kwargs: Any) -> Any:
    """Forward pass of ``network`` under ``key``: parameters drawn one after another, then ``functional_call``.

    Gradients reach the network's own parameters. Its buffers do not change: a copy of the network runs.

    Args:
        network: the random network.
        key: key of the draw.
        args: positional arguments of the forward pass.
        kwargs: keyword arguments of the forward pass.
    """
    return functional_call(plain.mean(network), slow_draw(network, key), args, kwargs)


def slow_draw(network: RandomNetwork, key: int) -> dict[str, Tensor]:
    """All parameters under ``key``, by their names in the original module, including deterministic ones."""
    own: dict[str, Tensor] = dict(network.named_parameters(remove_duplicate=False))
    drawn = {name: own[name] for name in measures.deterministic_parameters(network) if name in own}
    sizes = measures.sizes(network)
    for site in measures.sites(network):
        mean = own[site.name]
        rho, *learned = [own[qualified(learned_name)] for learned_name in site.learned_places()]
        unit = one(mean) if site.distribution.relative else sizes[site.name]
        noise = site.distribution.noise(key, site.uid, mean)
        drawn[site.name] = site.distribution.sample(noise, mean, site.scaling.scale_of(rho, unit), *learned)
    return drawn
