"""Layers of any network, found and surrounded where they stand."""

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
    """The layers of some kinds, each once, in the order in which they were registered: mostly that of their calls.

    Those of ``nn.MultiheadAttention`` are left out: it reads their weights and never calls them. Nothing else is known
    of a network, so a layer whose weights a forward reads without calling it keeps its place and is not acted on.

    Args:
        network: any module.
        kinds: among nn.Conv2d and nn.Linear; their subclasses count.

    Raises:
        UsageError: if there is none.
    """
    held = {
        id(part)
        for parent in network.modules()
        if isinstance(parent, nn.MultiheadAttention)
        for part in parent.modules()
    }
    found = [part for part in network.modules() if isinstance(part, kinds) and id(part) not in held]
    if not found:
        wanted = " or ".join(KINDS[kind] for kind in kinds)
        raise UsageError(f"{type(network).__name__} has no layer to act on", expected=f"a network with a {wanted}")
    return found


def behind_the_first(network: nn.Module, *kinds: type[Layer]) -> list[Layer]:
    """The layers of some kinds without the network's first convolution or linear layer, which sees the input itself.

    Raises:
        UsageError: if there is none.
    """
    every: list[nn.Module] = layers(network, nn.Conv2d, nn.Linear)
    found = [layer for layer in every[1:] if isinstance(layer, kinds)]
    if not found:
        raise UsageError(
            f"{type(network).__name__} has no hidden activations to act on", expected="a network of two layers or more"
        )
    return found


def places(network: nn.Module, parts: Collection[nn.Module]) -> list[str]:
    """The paths of some modules of a network, one each."""
    wanted = {id(part) for part in parts}
    return [path for path, part in network.named_modules() if id(part) in wanted]


def replaced(network: nn.Module, replacements: Mapping[Layer, nn.Module]) -> nn.Module:
    """The network with some of its modules replaced, in place; a module that stands in two places is so in both.

    Args:
        network: any module; if it is itself among the replaced, its replacement is returned.
        replacements: by the module that goes.
    """
    found = {id(layer): replacement for layer, replacement in replacements.items()}
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and id(child) in found:
                setattr(parent, name, found[id(child)])
    return found.get(id(network), network)


@contextmanager
def seeded_by(network: nn.Module) -> Iterator[None]:
    """Inside, torch's global generator is a function of the network's tensors; it is put back as it was.

    So what a defense draws at the start depends on the seed of the training, and on nothing else.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_words("defense", fingerprint(network.state_dict())) % 2**32)
        yield
