"""Margins of answers that have parts, or that are lost only bit by bit."""

from __future__ import annotations

import torch
from torch import Tensor


def below(value: Tensor) -> Tensor:
    """A loss, 0 or more and of any size, in the same order from -1 to 0: the margin of an answer that is not lost."""
    return -1 / (1 + value)


def until_all(wrongness: Tensor, counted: Tensor | None = None) -> Tensor:
    """A margin of parts, (B, P), each of them wrong above 0: above 0 where every part is.

    The mean over all parts of how far those that are still right are from an error; once none is, the least of them.

    Args:
        wrongness: how far each part is from being wrong.
        counted: the parts that count, (B, P), at least one per example; by default all.
    """
    if counted is None:
        return wrongness.clamp(max=0).mean(1) + wrongness.amin(1).clamp(min=0)
    right = wrongness.clamp(max=0) * counted
    return right.sum(1) / counted.sum(1) + wrongness.masked_fill(~counted, torch.inf).amin(1).clamp(min=0)
