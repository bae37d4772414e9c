"""Random changes of training images: a pure function of seed, epoch and batch, each example with its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from variate.errors import UsageError, unknown_name
from variate.random.keys import hash_words
from variate.random.noise import counter

PADDING = 8  # a crop pads an eighth of the side
HOLE = 2  # a cutout is half the side


def flip(x: Tensor, coins: Tensor) -> Tensor:
    """Mirrored left to right with probability 1/2.

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2); the first decides.
    """
    return torch.where(coins[:, 0, None, None, None] < 0.5, x.flip(-1), x)


def crop(x: Tensor, coins: Tensor) -> Tensor:
    """Shifted by up to an eighth of the side each way, what comes in being zero (He et al. 2016, arXiv:1512.03385).

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2): how far down, how far across.
    """
    height, width = x.shape[-2:]
    down, across = max(1, height // PADDING), max(1, width // PADDING)
    padded = F.pad(x, (across, across, down, down))
    rows = _place(coins[:, 0], 2 * down + 1)[:, None] + torch.arange(height, device=x.device)  # (B, H)
    columns = _place(coins[:, 1], 2 * across + 1)[:, None] + torch.arange(width, device=x.device)  # (B, W)
    examples = torch.arange(len(x), device=x.device)[:, None, None]
    return padded.movedim(1, -1)[examples, rows[:, :, None], columns[:, None]].movedim(-1, 1).contiguous()


def cutout(x: Tensor, coins: Tensor) -> Tensor:
    """A square of half the side set to zero, its center anywhere (DeVries & Taylor 2017, arXiv:1708.04552).

    Args:
        x: images, shape (B, C, H, W).
        coins: uniform in (0, 1), shape (B, 2): the center's row and column.
    """
    hit = [_within(coins[:, axis], x.shape[axis - 2], x.device) for axis in (0, 1)]
    hole = hit[0][:, None, :, None] & hit[1][:, None, None, :]  # (B, 1, H, W)
    return x.masked_fill(hole, 0.0)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"flip": flip, "crop": crop, "cutout": cutout}


def check_augment(text: str) -> list[str]:
    """The names in ``flip+crop+cutout``. Raises ``UsageError``."""
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in AUGMENTATIONS:
            raise unknown_name("augmentation", name, list(AUGMENTATIONS))
    return names


def augmented(x: Tensor, text: str, *, seed: int, epoch: int, batch: int, rank: int = 0, world: int = 1) -> Tensor:
    """Images changed at random, in the order written.

    Args:
        x: images in [0, 1], shape (B, C, H, W); unchanged.
        text: names joined by ``+``: ``flip``, ``crop``, ``cutout``.
        seed: of the training.
        epoch: the number of this pass.
        batch: the number of this batch in it.
        rank: the number of this process; it holds every ``world``-th example of the batch.
        world: how many processes there are: an example is changed in the same way whichever holds it.

    Returns:
        Images in [0, 1], shape (B, C, H, W).

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


def _place(coin: Tensor, places: int) -> Tensor:
    """Coins in (0, 1) as whole numbers below ``places``, each as likely."""
    return (coin * places).long().clamp(max=places - 1)


def _within(coin: Tensor, side: int, device: torch.device) -> Tensor:
    """Whether each position along a side lies in a stretch of half of it around a random center: (B, side)."""
    start = _place(coin, side)[:, None] - side // HOLE // 2
    position = torch.arange(side, device=device)
    return (position >= start) & (position < start + side // HOLE)
