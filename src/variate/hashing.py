"""A short hash of tensors, which identifies a network or a set of inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


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
        value = _dense(tensor.detach()).cpu().reshape(-1).contiguous()
        digest.update(json.dumps([str(name), str(value.dtype), list(tensor.shape)]).encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _type_name(value: object) -> str:
    return type(value).__qualname__


def _dense(tensor: Tensor) -> Tensor:
    """The values of a quantized, sparse or conjugated tensor as an ordinary one."""
    if tensor.is_quantized:
        return tensor.dequantize()
    return (tensor if tensor.layout == torch.strided else tensor.to_dense()).resolve_conj().resolve_neg()
