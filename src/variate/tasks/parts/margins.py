"""Margins of answers that have parts, or that are lost only bit by bit."""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 0.3  # of a smoothed step, relative to the mean size of the parts


def below(value: Tensor) -> Tensor:
    """A loss, 0 or more and of any size, in the same order from -1 to 0: the margin of an answer that is not lost."""
    return -1 / (1 + value)


def near(value: Tensor) -> Tensor:
    """A loss, 0 or more and of any size, in the opposite order from 0 to -1: how near what has no loss is."""
    return -value / (1 + value)


def smoothed(wrongness: Tensor, counted: Tensor | None = None) -> Tensor:
    """A margin of parts, (B, P), each of them wrong above 0: above 0 where every part is.

    It is the share of wrong parts minus 1, with a sigmoid for the step, as wide as .3 times the mean size of the parts.
    So it moves the parts that are closest to an error, on either side, and follows the score. Once every part is wrong,
    it is the least of them.

    Args:
        wrongness: how far each part is from being wrong.
        counted: the parts that count, (B, P), at least one per example; by default all.
    """
    counts = torch.ones_like(wrongness) if counted is None else counted.to(wrongness)
    number = counts.sum(1)
    size = (wrongness.detach().abs() * counts).sum(1) / number
    steps = torch.sigmoid(wrongness / (WIDTH * size).clamp(min=torch.finfo(wrongness.dtype).tiny)[:, None])
    least = wrongness.masked_fill(counts == 0, torch.inf).amin(1)
    return torch.where(least > 0, least, (steps * counts).sum(1) / number - 1)


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
