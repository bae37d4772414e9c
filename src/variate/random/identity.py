"""Which network this is: a hash of everything in a module that can change its answers."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate.hashing import fingerprint
from variate.random.measures import sites
from variate.random.network import RandomNetwork
from variate.random.parameters import HANDLE

Settings = dict[tuple[str, str], str]  # (path of a module, attribute) to its value in JSON
KEPT_BY_TORCH = frozenset(
    {*nn.Module().__dict__, "_flat_weights", "_flat_weight_refs"}
)  # parameters, hooks and the like, which are no settings; recurrent layers hold their parameters once more


def identity(module: nn.Module, before: Settings | None = None) -> str:
    """A hash of a module's tensors, classes, modes, settings and distributions.

    Settings are the attributes of every part that hold plain values: numbers, words, tensors that are not registered,
    functions by their names. The source code of classes and functions is not read, nor are hooks.

    Args:
        module: any module.
        before: its ``settings_of`` before it was last asked: what changed since is state, such as a counter of calls,
            and does not tell networks apart.
    """
    tensors = {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }
    now = settings_of(module)
    kept = [[*place, text] for place, text in now.items() if before is None or before.get(place) == text]
    parts = [[path, type(part).__qualname__, part.training] for path, part in module.named_modules()]
    said = json.dumps([fingerprint(tensors), parts, sorted(kept)])
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def settings_of(module: nn.Module) -> Settings:
    """The plain values that a module and its parts hold, and the distributions of random networks."""
    found: Settings = {}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name not in KEPT_BY_TORCH and name != HANDLE:
                found[path, name] = json.dumps(plain(value), sort_keys=True)
        if isinstance(part, RandomNetwork):
            name = HANDLE if (path, "sites") in found else "sites"  # the module may have sites of its own
            found[path, name] = json.dumps(plain(sites(part)))
    return found


def plain(value: Any) -> Any:
    """A value as JSON can hold it, the same in every process; of what it cannot hold the name, or that of its type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Tensor):
        return ["tensor", fingerprint([value])]
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        return ["array", str(array.dtype), list(array.shape), hashlib.blake2b(array.tobytes()).hexdigest()]
    if isinstance(value, torch.dtype | Enum | bytes | complex):
        return repr(value)
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: plain(one) for key, one in value.items()}
        return sorted(([plain(key), plain(one)] for key, one in value.items()), key=str)
    if isinstance(value, Set):
        return sorted(map(plain, value), key=str)
    if isinstance(value, Sequence):
        return [plain(one) for one in value]
    if isinstance(value, functools.partial):
        return ["partial", plain(value.func), plain(value.args), plain(value.keywords)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [type(value).__qualname__, plain(own)]
    return str(getattr(value, "__qualname__", type(value).__qualname__))
