"""Ablation of noise by layer: a random network without the noise of one layer, or with that of one layer only."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch

from variate.errors import UsageError
from variate.random.handle import handle_of
from variate.random.network import RandomNetwork
from variate.random.plain import mean
from variate.random.randomize import randomize


def layers(net: RandomNetwork) -> dict[str, list[str]]:
    """The names of the random parameters of each layer, by the module that owns them; tied parameters count once."""
    names: dict[str, list[str]] = {}
    for site in handle_of(net).sites:
        path = site.name.rpartition(".")[0] or "network"
        names.setdefault(path, []).append(site.name)
    return names


def with_noise_in(net: RandomNetwork, kept: Collection[str]) -> RandomNetwork:
    """A copy with noise in the parameters ``kept`` only, which draw the same noise for the same key as before.

    Args:
        net: the random network, not modified.
        kept: names of the random parameters that keep their noise.
    """
    sites = handle_of(net).sites
    names = [site.name for site in sites]
    unknown = sorted(set(kept) - set(names))
    if unknown or not kept:
        raise UsageError(f"these are not random parameters: {unknown}", expected=f"some of {', '.join(names)}")
    families = {site.name: site.family if site.name in kept else "fixed" for site in sites}
    copy = randomize(mean(net), families).train(net.training)
    initial, learned = copy.state_dict(), net.state_dict()
    with torch.no_grad():
        copy.load_state_dict({name: learned.get(name, tensor) for name, tensor in initial.items()})
    return copy


def variations(net: RandomNetwork) -> Iterator[tuple[str, RandomNetwork]]:
    """The network without the noise of each layer in turn, then with that of each layer only; none for one layer."""
    names_of_layers = layers(net)
    if len(names_of_layers) < 2:
        return
    all_names = {name for names in names_of_layers.values() for name in names}
    for layer, names in names_of_layers.items():
        yield f"without {layer}", with_noise_in(net, all_names - set(names))
    for layer, names in names_of_layers.items():
        yield f"only {layer}", with_noise_in(net, set(names))
