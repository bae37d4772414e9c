"""The slow, obvious forward pass of a random network, which the fast one is checked against."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.func import functional_call

from variate.random import measures, plain
from variate.random.network import RandomNetwork
from variate.random.parameters import qualified
from variate.random.scale import one


def slow_forward(network: RandomNetwork, key: int, *args: Any, **kwargs: Any) -> Any:
    """What ``network`` returns under the draw of ``key``: parameters drawn one after another, then ``functional_call``.

    Gradients reach the network's own parameters. Its buffers are left as they are: a copy is what runs.

    Args:
        network: the random network.
        key: the draw.
        args: of the network's forward.
        kwargs: of the network's forward.
    """
    return functional_call(plain.mean(network), slow_draw(network, key), args, kwargs)


def slow_draw(network: RandomNetwork, key: int) -> dict[str, Tensor]:
    """Every parameter under the draw of ``key`` by its name in the original module, the deterministic ones included."""
    own: dict[str, Tensor] = dict(network.named_parameters(remove_duplicate=False))
    drawn = {name: own[name] for name in measures.deterministic_parameters(network) if name in own}
    sizes = measures.sizes(network)
    for site in measures.sites(network):
        mean = own[site.name]
        rho, *learned = [own[qualified(place)] for place in site.learned_places()]
        unit = one(mean) if site.law.relative else sizes[site.name]
        noise = site.law.noise(key, site.uid, mean)
        drawn[site.name] = site.law.sample(noise, mean, site.scaling.scale_of(rho, unit), *learned)
    return drawn
