"""The identity of a network: a hash of everything in a module that can change its outputs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from contextvars import ContextVar
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from variate.hashing import fingerprint
from variate.random.measures import sites
from variate.random.network import RandomNetwork
from variate.random.parameters import HANDLE

Settings = dict[tuple[str, str], str]  # (module path, attribute) to its value in JSON
KEPT_BY_TORCH = frozenset(
    {*nn.Module().__dict__, "_flat_weights", "_flat_weight_refs"}
)  # parameters, hooks and the like, which are not settings; recurrent layers hold their parameters twice

_known: ContextVar[frozenset[int]] = ContextVar("_known", default=frozenset())  # ids of modules that are being hashed


def identity(module: nn.Module, before: Settings | None = None) -> str:
    """A hash of a module's tensors, classes, modes, settings and distributions.

    Settings are the attributes of every submodule with plain values: numbers, strings, unregistered tensors, modules in
    lists, and functions, which count by name; and what else its state holds (quantized weights, extra state). The
    source code of classes and functions is not read, nor are hooks.

    Args:
        module: any module.
        before: its ``settings_of`` before its last forward pass: what has changed since is state, such as a call
            counter, and is left out of the hash.
    """
    tensors = dict(_tensors_of(module))
    now = settings_of(module)
    settings = [[*place, text] for place, text in now.items() if before is None or before.get(place) == text]
    parts = [[path, type(part).__qualname__, part.training] for path, part in module.named_modules()]
    content = json.dumps([fingerprint(tensors), parts, sorted(settings)])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


def settings_of(module: nn.Module) -> Settings:
    """The plain values in the attributes of a module and its submodules, and the distributions of random networks."""
    token = _known.set(_known.get() | {id(part) for part in module.modules()})
    try:
        return _settings_of(module)
    finally:
        _known.reset(token)


def _settings_of(module: nn.Module) -> Settings:
    settings: Settings = {}
    tensors = {name for name, _ in _tensors_of(module)}
    for name, value in module.state_dict(keep_vars=True).items():
        if name not in tensors:
            settings["", f"state of {name}"] = json.dumps(plain(value), sort_keys=True)
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name not in KEPT_BY_TORCH and name != HANDLE:
                settings[path, name] = json.dumps(plain(value), sort_keys=True)
        if isinstance(part, RandomNetwork):
            name = HANDLE if (path, "sites") in settings else "sites"  # the module may have an attribute "sites"
            settings[path, name] = json.dumps(plain(sites(part)))
    return settings


def _tensors_of(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def plain(value: Any) -> Any:
    """A value in JSON types, equal in every process; anything else becomes its name or the name of its type."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Tensor):
        return ["tensor", fingerprint([value])]
    if isinstance(value, nn.Module) and id(value) not in _known.get():  # in a list, or otherwise not registered
        return ["module", identity(value)]
    if isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        return ["array", str(array.dtype), list(array.shape), hashlib.blake2b(array.tobytes()).hexdigest()]
    if isinstance(value, torch.dtype | Enum | bytes | complex):
        return repr(value)
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: plain(item) for key, item in value.items()}
        return sorted(([plain(key), plain(item)] for key, item in value.items()), key=str)
    if isinstance(value, Set):
        return sorted(map(plain, value), key=str)
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    if isinstance(value, functools.partial):
        return ["partial", plain(value.func), plain(value.args), plain(value.keywords)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return [type(value).__qualname__, plain(fields)]
    return str(getattr(value, "__qualname__", type(value).__qualname__))
