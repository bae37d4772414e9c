"""The random networks in a module: the module itself, or parts of a larger one."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from variate.errors import UsageError
from variate.random.parameters import HANDLE


def is_random(module: nn.Module) -> bool:
    """Whether a module is itself a random network, rather than one that may contain some."""
    return HANDLE in vars(module)


def seen_through(module: nn.Module) -> nn.Module:
    """The module that a wrapper runs (``torch.compile``, ``DistributedDataParallel``, Fabric); any other one itself."""
    while not is_random(module) and (inner := _wrapped(module)) is not None:
        module = inner
    return module


def _wrapped(module: nn.Module) -> Any:
    if isinstance(module, DistributedDataParallel | DataParallel):
        return module._modules["module"]
    for library, kind, name in WRAPPERS:
        loaded: Any = getattr(
            sys.modules.get(library), kind, None
        )  # whoever wrapped the module has imported the library
        if loaded is not None and isinstance(module, loaded):
            return module._modules[name]
    return None


WRAPPERS = (
    ("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"),
    ("torch.distributed.fsdp", "FullyShardedDataParallel", "_fsdp_wrapped_module"),
    ("lightning_fabric.wrappers", "_FabricModule", "_original_module"),
)


def contains_random(module: nn.Module) -> bool:
    """Whether a module is a random network or contains one."""
    return any(map(is_random, module.modules()))


def networks_in(module: nn.Module) -> dict[str, nn.Module]:
    """Every random network in a module by its path, which is empty for the module itself; at least one.

    Raises:
        UsageError: if there is none.
    """
    networks = {path: part for path, part in seen_through(module).named_modules() if is_random(part)}
    return _not_empty(networks, module)


def drawn_in(module: nn.Module) -> dict[str, nn.Module]:
    """``networks_in`` without the networks in averages over fixed keys, whose draws never change; may be empty."""
    parts = list(seen_through(module).named_modules())  # once: this runs at every draw
    averaged = {id(inner) for _, part in parts if keeps_keys(part) for inner in part.modules()}
    return {path: part for path, part in parts if HANDLE in vars(part) and id(part) not in averaged}


def check_random(module: nn.Module) -> dict[str, nn.Module]:
    """``drawn_in``, if there is a network. Raises ``UsageError``."""
    return _not_empty(drawn_in(module), module)


def keeps_keys(module: nn.Module) -> bool:
    """Whether a module always draws with its own keys: an average over fixed draws."""
    return bool(getattr(type(module), "keeps_keys", False))


def _not_empty(networks: dict[str, nn.Module], module: nn.Module) -> dict[str, nn.Module]:
    if not networks:
        raise UsageError(
            f"{type(module).__name__} is not a random network and contains none",
            todo="make it one with variate.randomize(net)",
        )
    return networks
