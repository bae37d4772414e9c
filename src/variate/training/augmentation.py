"""Random augmentation of training images, per example: a pure function of seed, epoch and batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import UsageError, unknown_name
from variate.random.keys import hash_words
from variate.random.noise import counter

PADDING = 8  # a crop pads 1/8 of the side
HOLE = 2  # a cutout spans 1/2 of the side


def flip(x: Tensor, coins: Tensor) -> Tensor:
    """Flip images left to right with probability 1/2.

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2); the first decides.
    """
    return torch.where(coins[:, 0, None, None, None] < 0.5, x.flip(-1), x)


def crop(x: Tensor, coins: Tensor) -> Tensor:
    """Shift images by up to 1/8 of the side each way, padded with zeros (He et al. 2016, arXiv:1512.03385).

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2): vertical and horizontal shift.
    """
    height, width = x.shape[-2:]
    down, across = max(1, height // PADDING), max(1, width // PADDING)
    padded = F.pad(x, (across, across, down, down))
    rows = _scaled(coins[:, 0], 2 * down + 1)[:, None] + torch.arange(height, device=x.device)  # (B, H)
    columns = _scaled(coins[:, 1], 2 * across + 1)[:, None] + torch.arange(width, device=x.device)  # (B, W)
    examples = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.movedim(1, -1)[examples, rows[:, :, None], columns[:, None]].movedim(-1, 1).contiguous()


def cutout(x: Tensor, coins: Tensor) -> Tensor:
    """Set a square of half the side to zero, centered anywhere (DeVries & Taylor 2017, arXiv:1708.04552).

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2): row and column of the center.
    """
    inside = [_within(coins[:, axis], x.shape[axis - 2], x.device) for axis in (0, 1)]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
    return x.masked_fill(hole, 0.0)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"flip": flip, "crop": crop, "cutout": cutout}


def check_augment(text: str) -> list[str]:
    """Parse the names in text such as ``flip+crop+cutout``. Raises ``UsageError``."""
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise unknown_name("augmentation", name, list(AUGMENTATIONS))
    return names


def augmented(x: Tensor, text: str, *, seed: int, epoch: int, batch: int, rank: int = 0, world: int = 1) -> Tensor:
    """Augment images at random, in the order written.

    Args:
        x: images in [0, 1], shape (B, C, H, W); unchanged.
        text: names joined by ``+``: ``flip``, ``crop``, ``cutout``.
        seed: seed of the training.
        epoch: index of the epoch.
        batch: index of the batch in the epoch.
        rank: index of this process, which holds every ``world``-th example of the batch.
        world: number of processes; an example is augmented the same way whichever process holds it.

    Returns:
        Augmented images in [0, 1], shape (B, C, H, W).

    Raises:
        UsageError: for an unknown name, or inputs that are not images.
    """
    if x.dim() != 4:
        raise UsageError(
            f"cannot augment inputs of shape {tuple(x.shape)}", expected="images (B, C, H, W)", todo="leave augment out"
        )
    key = hash_words("augment", seed, epoch, batch) % 2**63
    for name in check_augment(text):
        coins = counter.noise("unit", key, hash_words(name), (world * len(x), 2), device=x.device)  # (world * B, 2)
        x = AUGMENTATIONS[name](x, coins[rank::world])
    return x


def _scaled(coin: Tensor, count: int) -> Tensor:
    """Map coins in (0, 1) to uniform whole numbers below ``count``."""
    return (coin * count).long().clamp(max=count - 1)


def _within(coin: Tensor, side: int, device: torch.device) -> Tensor:
    """Whether each position along a side lies within a quarter of it from a random center: (B, side)."""
    start = _scaled(coin, side)[:, None] - side // HOLE // 2
    position = torch.arange(side, device=device)
    return (position >= start) & (position < start + side // HOLE)
