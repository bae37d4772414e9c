"""Wall-clock time that includes the work queued on a device."""

from __future__ import annotations

import time

import torch
from torch import Tensor


def now(x: Tensor) -> float:
    """Wall-clock time in seconds after the device of ``x`` has finished its queued work."""
    if x.device.type != "cpu":
        torch.accelerator.synchronize(x.device)
    return time.perf_counter()
