"""Compose scenes: small pictures at random places and scales in a larger one, with a mask of what is where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TRIES = 8  # places that are drawn for an object, of which the one with the least overlap is taken
SIDES = (0.3125, 0.5)  # of an object, as shares of the side of a scene
DRAWN = 0.15  # brightness from which on a pixel of a picture belongs to its object
SEEN = 0.25  # share of an object that must be seen for it to count


@dataclass(frozen=True)
class Scenes:
    """Composed pictures.

    Attributes:
        x: the scenes in [0, 1], shape (N, C, H, H).
        masks: 0 for the background and 1 + class for the object that is seen at a position, shape (N, H, H).
        classes: the class of every object, shape (N, M); -1 where a scene has fewer or the object cannot be seen.
    """

    x: Tensor
    masks: Tensor
    classes: Tensor


def composed(pictures: Tensor, labels: Tensor, *, count: int, size: int, objects: int, seed: list[int]) -> Scenes:
    """Compose ``count`` scenes of 1 to ``objects`` pictures each; the later object covers the earlier.

    Args:
        pictures: pictures on black, shape (P, C, h, h).
        labels: their classes, shape (P,).
        count: number of scenes, N.
        size: side of a scene, H.
        objects: largest number of objects in a scene, M.
        seed: seeds numpy's PCG64.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    chosen = torch.from_numpy(random.integers(len(pictures), size=(count, objects)))
    numbers = torch.from_numpy(random.integers(1, objects + 1, size=count))
    low, high = (round(share * size) for share in SIDES)
    sides = torch.from_numpy(random.integers(low, high + 1, size=(count, objects)))
    corners = _corners(torch.from_numpy(random.random((count, objects, TRIES, 2))), sides, size)  # (N, M, 2)

    x = torch.zeros(count, pictures.shape[1], size, size)
    owners = torch.full((count, size, size), -1)  # the object at every position
    areas = torch.zeros(count, objects)
    for m in range(objects):
        for side in range(low, high + 1):
            rows = ((sides[:, m] == side) & (m < numbers)).nonzero()[:, 0]
            if not len(rows):
                continue
            small = F.interpolate(pictures[chosen[rows, m]], (side, side), mode="bilinear", antialias=True)
            at = (rows[:, None, None], *_window(corners[rows, m], side))
            drawn = small.amax(1) > DRAWN  # (R, s, s)
            before = x[at[0], :, at[1], at[2]]  # (R, s, s, C)
            x[at[0], :, at[1], at[2]] = small.movedim(1, -1).clamp(0, 1).where(drawn[..., None], before)
            owners[at] = owners[at].where(~drawn, m)
            areas[rows, m] = drawn.sum((1, 2)).float()
    kinds = labels[chosen]  # (N, M)
    seen = torch.stack([(owners == m).sum((1, 2)) for m in range(objects)], 1)  # (N, M)
    counted = (seen > 0) & (seen >= SEEN * areas)
    masks = torch.where(owners < 0, 0, 1 + kinds.gather(1, owners.clamp(min=0).flatten(1)).view_as(owners))
    return Scenes(x, masks, kinds.where(counted, -1))


def _corners(drawn: Tensor, sides: Tensor, size: int) -> Tensor:
    """The upper left corner of every object: of several places the one that overlaps the earlier objects least.

    Args:
        drawn: numbers in [0, 1), shape (N, M, tries, 2).
        sides: sides of the objects, shape (N, M).
        size: side of a scene.
    """
    places = (drawn * (size + 1 - sides[:, :, None, None])).long()  # (N, M, tries, 2)
    taken: list[Tensor] = []
    for m in range(places.shape[1]):
        tries = places[:, m]  # (N, tries, 2)
        overlap = torch.zeros(tries.shape[:2])
        for i, corner in enumerate(taken):
            ends = torch.minimum(tries + sides[:, m, None, None], corner[:, None] + sides[:, i, None, None])
            overlap += (ends - torch.maximum(tries, corner[:, None])).clamp(min=0).prod(-1)
        best = overlap.argmin(1)
        taken.append(tries[torch.arange(len(tries)), best])
    return torch.stack(taken, 1)


def _window(corners: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The rows and columns of squares with these corners, (R, 2): (R, s, 1) and (R, 1, s)."""
    steps = torch.arange(side)
    return (corners[:, :1] + steps)[:, :, None], (corners[:, 1:] + steps)[:, None, :]
