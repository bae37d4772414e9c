"""Counter-based noise: element i of tensor ``uid`` under ``key`` is a pure function of (key, uid, i).

The compiled sampler makes it where available, plain torch elsewhere: the same integers, and floats that agree up to
rounding. Nothing depends on threads, device, batch or the state of any generator.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from variate.random.noise import eager, threefry, traced
from variate.random.noise.kinds import Kind


def noise(
    kind: Kind, key: int | Tensor, uid: int, shape: Sequence[int], *, device: torch.device | str = "cpu"
) -> Tensor:
    """Noise of ``shape``, float32, with mean 0 and variance 1 (``unit``: uniform in (0, 1)).

    Args:
        kind: distribution of the noise.
        key: an integer, or a tensor of one int64 in graphs whose key is data.
        uid: number of the tensor.
        shape: shape of the noise.
        device: device of the noise.
    """
    if isinstance(key, Tensor):
        return traced.noise(kind, key, uid, torch.Size(shape), torch.device(device))
    return eager.noise(kind, key, uid, shape, torch.device(device))


def unit(key: int | Tensor) -> Tensor:
    """The number in (0, 1) that all tensors of a draw share, a function of the key: a float32 scalar on the CPU.

    Args:
        key: an integer, or a tensor of one int64 in graphs whose key is data.
    """
    if isinstance(key, Tensor):
        return traced.unit(key)
    return torch.tensor(threefry.unit(key), dtype=torch.float32, device="cpu")


def rows(kind: Kind, keys: Sequence[int], uid: int, count: int, *, device: torch.device | str = "cpu") -> Tensor:
    """Noise of one tensor under several keys, float32, one row per key: shape (len(keys), count)."""
    return torch.stack([eager.noise(kind, key, uid, (count,), torch.device(device)) for key in keys])
