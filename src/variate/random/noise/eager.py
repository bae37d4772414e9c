"""Noise outside graphs: from the compiled sampler where available, from plain torch elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from variate.random.noise import native, threefry
from variate.random.noise.kinds import Kind


def noise(kind: Kind, key: int, uid: int, shape: Sequence[int], device: torch.device) -> Tensor:
    """Noise of ``shape``, float32."""
    if device.type == "cpu" and native.available() and not torch._C._len_torch_dispatch_stack():
        out = torch.empty(tuple(shape), dtype=torch.float32, device="cpu")
        if native.is_plain(out):  # functorch wraps it
            native.fill(kind, key, uid, out)
            return out
    return threefry.noise(kind, key, uid, math.prod(shape), device=device).view(tuple(shape))
