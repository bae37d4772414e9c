"""Random resizing and padding of the input."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import InputError
from variate.random.reseeding import reseed_after_fork
from variate.registry import defense
from variate.training.noise_layers import Surrounded

SMALLEST = 299 / 331  # the paper resizes 299 pixels at random and pads to 331

reseed_after_fork()


@defense(
    random=True,
    adversarial=False,
    group="randomized",
    cite="Xie et al. 2018, arXiv:1711.01991",
    differs="The paper enlarges images; this shrinks them in the same proportion and pads them to their own size, so "
    "any network accepts them. It is also on in training. Small images have few positions: 8x8 has 4. The padding is "
    "black, in the authors' code gray.",
)
def random_resize(network: nn.Module) -> tuple[nn.Module, str]:
    """The input is randomly resized and randomly padded with zeros, one draw per batch; plain cross-entropy.

    Args:
        network: the architecture, initialized.

    Returns:
        The network to train and its objective.
    """
    return Surrounded(network, front=RandomResize()), "cross-entropy"


class RandomResize(nn.Module):
    """Shrinks images to a random size of at least 299/331 of their own and pads them with zeros at random."""

    def forward(self, x: Tensor) -> Tensor:
        """Resize and pad images of shape (B, C, H, W), which they keep. Raises ``InputError`` for other inputs."""
        if x.dim() != 4:
            raise InputError(
                f"random-resize got inputs of shape {tuple(x.shape)}", expected="images, shape (B, C, H, W)"
            )
        height, width = x.shape[-2:]
        longest = max(height, width)
        target = _random_int(min(round(longest * SMALLEST), longest - 1), longest)
        rows, columns = (max(1, round(side * target / longest)) for side in (height, width))
        small = F.interpolate(x, (rows, columns), mode="nearest")  # (B, C, rows, columns)
        top, left = _random_int(0, height - rows + 1), _random_int(0, width - columns + 1)
        return F.pad(small, (left, width - columns - left, top, height - rows - top))


def _random_int(low: int, end: int) -> int:
    """A random number from ``low`` to ``end - 1``."""
    return int(torch.randint(low, end, ()))
