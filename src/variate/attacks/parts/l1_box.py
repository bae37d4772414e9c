"""Projection and steepest step in the l1 ball around an input, intersected with [0, 1] (Croce & Hein 2021).

Clipping to [0, 1] after projecting onto the ball alone wastes part of the budget wherever a value is at an end of its
range, as most values of an image on a black background are (arXiv:2103.01208).
"""

from __future__ import annotations

import torch
from torch import Tensor

SPREAD = 0.01  # share of the values that one step changes


def nearest_in_box(perturbed: Tensor, x: Tensor, eps: float) -> Tensor:
    """The point nearest to ``perturbed`` of those within eps of ``x`` in l1 and inside [0, 1]: shape (B, ...).

    Every change shrinks by the same amount s and is then clipped to its range: min(max(|d| - s, 0), room). The sum of
    all changes is piecewise linear and decreasing in s, and s is where it equals eps.

    Args:
        perturbed: any points, shape (B, ...).
        x: inputs in [0, 1], shape (B, ...).
        eps: radius of the ball, at least 0.
    """
    if not x.numel():
        return perturbed.clone()
    delta, origin = (perturbed - x).flatten(1), x.flatten(1)
    sizes = delta.abs().double()  # (B, D); sums of many values need the precision
    room = torch.where(delta > 0, 1 - origin, origin).double()
    breakpoints = torch.cat([sizes, sizes - room], 1)  # (B, 2D), values of s: no change above, clipped below
    slope_changes = torch.cat([torch.ones_like(sizes), -torch.ones_like(sizes)], 1)
    order = breakpoints.argsort(1, descending=True)
    breakpoints, slopes = breakpoints.gather(1, order), slope_changes.gather(1, order).cumsum(1)  # (B, 2D)
    sums = (slopes[:, :-1] * -breakpoints.diff(dim=1)).cumsum(1)  # (B, 2D - 1), from the second breakpoint
    sums = torch.cat([sums.new_zeros(len(sums), 1), sums], 1)  # (B, 2D)
    piece = (sums < eps).sum(1, keepdim=True).clamp(min=1) - 1  # the last breakpoint at which the sum is below eps
    slope = slopes.gather(1, piece)
    shrink = breakpoints.gather(1, piece) - (eps - sums.gather(1, piece)) / slope.where(slope > 0, 1.0)
    whole = torch.minimum(sizes, room)
    kept = torch.minimum((sizes - shrink.clamp(min=0)).clamp(min=0), room)
    kept = kept.where(whole.sum(1, keepdim=True) > eps, whole)
    return _moved(x, kept.to(x.dtype) * delta.sign())


def steepest_in_box(gradient: Tensor, x: Tensor, length: float) -> Tensor:
    """The point within ``length`` of ``x`` in l1 and inside [0, 1] that maximizes a linear function: (B, ...).

    The values with the largest gradient go to the end of their range, one after another, until the length is used up.

    Args:
        gradient: gradient of the function, shape (B, ...).
        x: inputs in [0, 1], shape (B, ...).
        length: l1 length of the step, at least 0.
    """
    flat, origin = gradient.flatten(1), x.flatten(1)
    room = torch.where(flat > 0, 1 - origin, origin) * (flat != 0)  # (B, D)
    order = flat.abs().argsort(1, descending=True)
    rooms = room.gather(1, order)
    used = rooms.double().cumsum(1).to(rooms) - rooms
    steps = torch.minimum((length - used).clamp(min=0), rooms)
    return _moved(x, torch.zeros_like(flat).scatter(1, order, steps) * flat.sign())


def _moved(x: Tensor, delta: Tensor) -> Tensor:
    """Inputs plus changes, (B, ...) and (B, D) to (B, ...); clipping only removes rounding errors."""
    return (x + delta.view_as(x)).clamp(0.0, 1.0)


def spread_step(gradient: Tensor, point: Tensor) -> Tensor:
    """A step of l1 length 1 over the 1 % of values with the largest gradient that can still move: shape (B, ...)."""
    flat, values = gradient.flatten(1), point.flatten(1)
    stuck = ((values <= 0) & (flat < 0)) | ((values >= 1) & (flat > 0))
    sizes = flat.abs().masked_fill(stuck, 0.0)  # (B, D)
    count = max(1, round(SPREAD * flat.shape[1]))
    kept = sizes.topk(count, dim=1)
    signs = flat.gather(1, kept.indices).sign() * (kept.values > 0)
    return torch.zeros_like(flat).scatter(1, kept.indices, signs / count).view_as(gradient)
