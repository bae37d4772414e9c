"""The l1 ball around an input, cut by [0, 1]: its nearest point and its steepest step (Croce & Hein 2021).

Clipping to [0, 1] after projecting onto the ball alone gives away a part of the budget wherever a value is at an end
of its range, as most values of an image on a black background are (arXiv:2103.01208).
"""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_in_box(perturbed: Tensor, x: Tensor, eps: float) -> Tensor:
    """The point nearest to ``perturbed`` of those within eps of ``x`` in l1 and inside [0, 1]: shape (B, ...).

    Every change loses the same amount s and is then cut at the end of its range, min(max(|d| - s, 0), room). What is
    left of all changes falls with s in straight pieces, and s is where it meets eps.

    Args:
        perturbed: any points, shape (B, ...).
        x: inputs in [0, 1], shape (B, ...).
        eps: the size of the ball, from 0.
    """
    if not x.numel():
        return perturbed.clone()
    delta, origin = (perturbed - x).flatten(1), x.flatten(1)
    sizes = delta.abs().double()  # (B, D); sums of many values need the precision
    room = torch.where(delta > 0, 1 - origin, origin).double()
    ends = torch.cat([sizes, sizes - room], 1)  # (B, 2D): below the first a value is changed, below the second cut
    turns = torch.cat([torch.ones_like(sizes), -torch.ones_like(sizes)], 1)
    order = ends.argsort(1, descending=True)
    ends, slopes = ends.gather(1, order), turns.gather(1, order).cumsum(1)  # (B, 2D)
    left = (slopes[:, :-1] * -ends.diff(dim=1)).cumsum(1)  # (B, 2D - 1), of all changes at the second end and on
    left = torch.cat([left.new_zeros(len(left), 1), left], 1)  # (B, 2D)
    piece = (left < eps).sum(1, keepdim=True).clamp(min=1) - 1  # the last end at which less than eps is left
    slope = slopes.gather(1, piece)
    shrink = ends.gather(1, piece) - (eps - left.gather(1, piece)) / slope.where(slope > 0, 1.0)
    whole = torch.minimum(sizes, room)
    kept = torch.minimum((sizes - shrink.clamp(min=0)).clamp(min=0), room)
    kept = kept.where(whole.sum(1, keepdim=True) > eps, whole)
    return _moved(x, kept.to(x.dtype) * delta.sign())


def steepest_in_box(gradient: Tensor, x: Tensor, length: float) -> Tensor:
    """The point within ``length`` of ``x`` in l1 and inside [0, 1] that raises a linear function most: (B, ...).

    The values of the largest gradient go to the end of their range, one after another, until the length is used up.

    Args:
        gradient: of the function, shape (B, ...).
        x: inputs in [0, 1], shape (B, ...).
        length: of the step, from 0.
    """
    flat, origin = gradient.flatten(1), x.flatten(1)
    room = torch.where(flat > 0, 1 - origin, origin) * (flat != 0)  # (B, D)
    order = flat.abs().argsort(1, descending=True)
    rooms = room.gather(1, order)
    before = rooms.double().cumsum(1).to(rooms) - rooms
    steps = torch.minimum((length - before).clamp(min=0), rooms)
    return _moved(x, torch.zeros_like(flat).scatter(1, order, steps) * flat.sign())


def _moved(x: Tensor, delta: Tensor) -> Tensor:
    """Shape (B, ...) and (B, D) to (B, ...); rounding leaves [0, 1] by no more than is clipped here."""
    return (x + delta.view_as(x)).clamp(0.0, 1.0)
