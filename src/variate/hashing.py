"""A short hash of tensors: which network, which inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def fingerprint(tensors: Mapping[str, Tensor] | Sequence[Tensor]) -> str:
    """A hash of named tensors, or of a list of them: names, shapes, types and values."""
    named = tensors.items() if isinstance(tensors, Mapping) else enumerate(tensors)
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in named:
        value = tensor.detach().cpu().reshape(-1)
        digest.update(json.dumps([str(name), str(value.dtype), list(tensor.shape)]).encode())
        digest.update(value.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
