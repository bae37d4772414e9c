"""Find and replace layers of any network."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from variate.errors import UsageError
from variate.hashing import fingerprint
from variate.random.keys import hash_words

Layer = TypeVar("Layer", bound=nn.Module)
KINDS: dict[type[nn.Module], str] = {nn.Conv2d: "convolution (nn.Conv2d)", nn.Linear: "linear layer (nn.Linear)"}


def layers(network: nn.Module, *kinds: type[Layer]) -> list[Layer]:
    """The layers of some kinds, each once, in order of registration, which is usually the order of calls.

    Layers inside ``nn.MultiheadAttention`` are left out: it reads their weights and never calls them. Other modules
    that read the weights of a layer without calling it are not detected; replacing such a layer has no effect.

    Args:
        network: any module.
        kinds: nn.Conv2d, nn.Linear or both, including subclasses.

    Raises:
        UsageError: if there are none.
    """
    in_attention = {
        id(module)
        for parent in network.modules()
        if isinstance(parent, nn.MultiheadAttention)
        for module in parent.modules()
    }
    matching = [module for module in network.modules() if isinstance(module, kinds) and id(module) not in in_attention]
    if not matching:
        names = " or ".join(KINDS[kind] for kind in kinds)
        raise UsageError(f"{type(network).__name__} has no suitable layer", expected=f"a network with a {names}")
    return matching


def layers_after_first(network: nn.Module, *kinds: type[Layer]) -> list[Layer]:
    """The layers of some kinds, without the first convolution or linear layer, which takes the network's input.

    Raises:
        UsageError: if there are none.
    """
    all_layers: list[nn.Module] = layers(network, nn.Conv2d, nn.Linear)
    hidden = [layer for layer in all_layers[1:] if isinstance(layer, kinds)]
    if not hidden:
        raise UsageError(
            f"{type(network).__name__} has no hidden activations", expected="a network of at least two layers"
        )
    return hidden


def paths_of(network: nn.Module, modules: Collection[nn.Module]) -> list[str]:
    """The paths of some modules of a network, one each."""
    ids = {id(module) for module in modules}
    return [path for path, module in network.named_modules() if id(module) in ids]


def replaced(network: nn.Module, replacements: Mapping[Layer, nn.Module]) -> nn.Module:
    """Replace some modules of a network in place, at every path where they occur.

    Args:
        network: any module.
        replacements: from each module to its replacement.

    Returns:
        The network, or its replacement if it is itself replaced.
    """
    by_id = {id(layer): replacement for layer, replacement in replacements.items()}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and id(child) in by_id:
                setattr(parent, name, by_id[id(child)])
    return by_id.get(id(network), network)


@contextmanager
def seeded_by(network: nn.Module) -> Iterator[None]:
    """Seed torch's global generator with a hash of the network's tensors, and restore it afterwards.

    So the random initialization of a defense depends only on the seed of the training.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_words("defense", fingerprint(network.state_dict())) % 2**32)
        yield
