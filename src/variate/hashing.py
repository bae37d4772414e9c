"""A short hash of tensors, which identifies a network or a set of inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass


def fingerprint(tensors: Mapping[str, Any] | Sequence[Tensor]) -> str:
    """Hash the names (or positions), shapes, types and values of tensors: 16 hexadecimal digits.

    A state dict may hold other values, from a module's ``get_extra_state``: they count as JSON, or by their type if
    they have no JSON.
    """
    named = tensors.items() if isinstance(tensors, Mapping) else enumerate(tensors)
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in named:
        if not isinstance(tensor, Tensor):
            digest.update(json.dumps([str(name), tensor], sort_keys=True, default=_type_name).encode())
            continue
        parts = list(_memory(tensor.detach()))
        digest.update(json.dumps([str(name), str(parts[0].dtype), list(tensor.shape)]).encode())
        for part in parts:
            digest.update(part.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _type_name(value: object) -> str:
    return type(value).__qualname__


def _memory(tensor: Tensor) -> Iterator[Tensor]:
    """The values of a tensor on the CPU, flat; those of each tensor inside one that wraps others."""
    if is_traceable_wrapper_subclass(tensor):  # a DTensor, or the quantized weights of a library
        names, _ = tensor.__tensor_flatten__()
        parts = [getattr(tensor, name) for name in names]
        for part in parts:
            if isinstance(part, Tensor):
                yield from _memory(part.detach())
        return
    yield _dense(tensor).as_subclass(Tensor).cpu().reshape(-1).contiguous()


def _dense(tensor: Tensor) -> Tensor:
    """The values of a quantized, sparse or conjugated tensor as an ordinary one."""
    if tensor.is_quantized:
        return tensor.dequantize()
    return (tensor if tensor.layout == torch.strided else tensor.to_dense()).resolve_conj().resolve_neg()
