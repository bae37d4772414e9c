"""Random resizing and padding of the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import InputError
from variate.registry import defense
from variate.training.noise_layers import Surrounded

SMALLEST = 299 / 331  # the paper pads 299 pixels, resized at random, to 331


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Xie et al. 2018, arXiv:1711.01991",
    differs="The paper enlarges the image and pads it to a larger one; this shrinks it in the same proportion and "
    "pads it to its own size, so any network takes it. It is there in training too. A small image has few places: 8x8 "
    "has 4. The zeros are black, in the authors' code grey.",
)
def random_resize(network: nn.Module) -> tuple[nn.Module, str]:
    """The input is resized at random and padded with zeros at random, one draw for the batch; plain cross-entropy.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train, and its objective.
    """
    return Surrounded(network, front=RandomResize()), "cross-entropy"


class RandomResize(nn.Module):
    """Shrinks images to a random size of at least 299/331 of their own, and puts them at a random place among zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Images of shape (B, C, H, W), of that same shape. Raises ``InputError`` for inputs that are none."""
        if x.dim() != 4:
            raise InputError(
                f"random-resize got inputs of shape {tuple(x.shape)}", expected="images, shape (B, C, H, W)"
            )
        height, width = x.shape[-2:]
        longest = max(height, width)
        chosen = _between(min(round(longest * SMALLEST), longest - 1), longest)
        rows, columns = (max(1, round(side * chosen / longest)) for side in (height, width))
        small = F.interpolate(x, (rows, columns), mode="nearest")  # (B, C, rows, columns)
        top, left = _between(0, height - rows + 1), _between(0, width - columns + 1)
        return F.pad(small, (left, width - columns - left, top, height - rows - top))


def _between(low: int, end: int) -> int:
    """A random number from ``low`` to ``end - 1``."""
    return int(torch.randint(low, end, ()))
