"""A short hash of tensors, which identifies a network or a set of inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> str:
    """Hash the names (or positions), shapes, types and values of tensors: 16 hexadecimal digits."""
    named = tensors.items() if isinstance(tensors, Mapping) else enumerate(tensors)
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in named:
        value = tensor.detach().cpu().reshape(-1).contiguous()
        digest.update(json.dumps([str(name), str(value.dtype), list(tensor.shape)]).encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
