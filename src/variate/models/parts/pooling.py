"""Pooling that is as fast as the convolutions around it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def halved(x: Tensor) -> Tensor:
    """The largest value of every 2 x 2 block, as ``F.max_pool2d(x, 2)`` to the bit: (B, C, H, W) to (B, C, H/2, W/2).

    On a CPU PyTorch searches each block value by value and keeps the places, which takes longer than the convolution
    before. Without a gradient nobody needs the places, and two comparisons of whole planes are ten times as fast.
    """
    graph = torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None
    height, width = (side // 2 * 2 for side in x.shape[-2:])
    if graph or torch.is_grad_enabled() or type(x) is not Tensor or x.device.type != "cpu" or not height * width:
        return F.max_pool2d(x, 2)
    rows = torch.maximum(x[..., 0:height:2, :width], x[..., 1:height:2, :width])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])
