"""Whose noise buys what: a random network with the noise of one layer off, or of that layer alone on."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch

from variate.errors import UsageError
from variate.random.handle import handle_of
from variate.random.network import RandomNetwork
from variate.random.plain import mean
from variate.random.randomize import randomize


def layers(net: RandomNetwork) -> dict[str, list[str]]:
    """The names of the random parameters of each layer, by the module that owns them; tied ones count once."""
    found: dict[str, list[str]] = {}
    for site in handle_of(net).sites:
        path = site.name.rpartition(".")[0] or "network"
        found.setdefault(path, []).append(site.name)
    return found


def with_noise_in(net: RandomNetwork, kept: Collection[str]) -> RandomNetwork:
    """A copy whose noise is off outside of the parameters ``kept``; what stays draws the same noise for the same key.

    Args:
        net: the random network, left as it is.
        kept: names of its random parameters.
    """
    sites = handle_of(net).sites
    names = [site.name for site in sites]
    unknown = sorted(set(kept) - set(names))
    if unknown or not kept:
        raise UsageError(f"these are no random parameters: {unknown}", expected=f"some of {', '.join(names)}")
    families = {site.name: site.family if site.name in kept else "fixed" for site in sites}
    copy = randomize(mean(net), families).train(net.training)
    own, learned = copy.state_dict(), net.state_dict()
    with torch.no_grad():
        copy.load_state_dict({name: learned.get(name, tensor) for name, tensor in own.items()})
    return copy


def variations(net: RandomNetwork) -> Iterator[tuple[str, RandomNetwork]]:
    """Every layer's noise off in turn, then every layer's noise alone; none for a network of one layer."""
    found = layers(net)
    if len(found) < 2:
        return
    every = {name for names in found.values() for name in names}
    for layer, names in found.items():
        yield f"without {layer}", with_noise_in(net, every - set(names))
    for layer, names in found.items():
        yield f"only {layer}", with_noise_in(net, set(names))
