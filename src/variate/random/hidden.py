"""Weights that torch does not register, so that nothing can make them random: they must be named, not passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

CONTAINERS = (list, tuple, dict)


def unregistered(module: nn.Module) -> dict[str, str]:
    """The weights that a module keeps outside of its registered parameters, with the reason, by name.

    Parameters and modules in plain lists and dictionaries (``layers.0.weight``), and the packed weights of quantized
    modules.
    """
    known = {id(part) for part in module.modules()} | {id(parameter) for parameter in module.parameters()}
    found: dict[str, str] = {}
    for path, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            continue  # refused as a whole
        if _is_quantized(part) and path.rpartition(".")[0] not in found:
            found[path or "weight"] = "is quantized: its weights are packed integers, which cannot be random"
        for name, value in vars(part).items():
            if not name.startswith("_") or type(value) in CONTAINERS[:2]:
                found |= _hidden(f"{path}.{name}" if path else name, value, known, set())
    return found


def _hidden(name: str, value: Any, known: set[int], seen: set[int]) -> dict[str, str]:
    if id(value) in known or id(value) in seen:
        return {}
    seen.add(id(value))
    if isinstance(value, nn.Parameter):
        return {name: "is in a plain list or dictionary, where torch does not find it: use nn.ParameterList or -Dict"}
    if isinstance(value, nn.Module):
        why = "belongs to a module in a plain list or dictionary, where torch does not find it: use nn.ModuleList"
        return {f"{name}.{own}": why for own, parameter in value.named_parameters() if id(parameter) not in known}
    found: dict[str, str] = {}
    for key, item in _items(value):
        found |= _hidden(f"{name}.{key}", item, known, seen)
    return found


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _is_quantized(module: nn.Module) -> bool:
    """Whether a module keeps its weights in a form that only torch's quantized operations read."""
    packed = getattr(module, "_packed_params", None)
    return packed is not None or any(isinstance(value, torch.ScriptObject) for value in vars(module).values())
