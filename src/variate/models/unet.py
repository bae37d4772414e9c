"""A small U-Net: logits for every position of an image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.models.parts.normalize import Normalize
from variate.models.parts.pooling import halved
from variate.registry import network

STRIDE = 4  # sides are padded to a multiple of it


class Convolutions(nn.Sequential):
    """Two 3x3 convolutions with batch norm and ReLU: (B, C, H, W) to (B, C', H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


@network(modality=("image",), tasks=("positions",), cite="Ronneberger, Fischer & Brox 2015, arXiv:1505.04597, figure 1")
class UNet(nn.Module):
    """A U-Net of two levels: convolutions, max pooling twice, and back up with what was there before pooling.

    The original has four levels and unpadded convolutions. Sides that are not multiples of 4 are padded inside.

    Args:
        shape: shape of one input, (C, H, W).
        classes: number of classes of a position, K.
        mean: channel means of the training split.
        std: channel standard deviations of the training split.
        width: channels of the first level; doubled at each of the other two.

    Raises:
        UsageError: if ``width`` is not a whole number from 1.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        width: int = 16,
    ) -> None:
        super().__init__()
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            raise UsageError(f"the width of a U-Net is {width!r}", expected="a whole number from 1, such as 16")
        self.normalize = Normalize(mean, std)
        self.first = Convolutions(shape[0], width)
        self.second = Convolutions(width, 2 * width)
        self.bottom = Convolutions(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.back2 = Convolutions(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.back1 = Convolutions(2 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K, H, W)."""
        height, breadth = x.shape[2:]
        x = F.pad(self.normalize(x), (0, -breadth % STRIDE, 0, -height % STRIDE))
        first = self.first(x)  # (B, width, H, W)
        second = self.second(halved(first))  # (B, 2 width, H/2, W/2)
        bottom = self.bottom(halved(second))  # (B, 4 width, H/4, W/4)
        back = self.back2(torch.cat([second, self.up2(bottom)], 1))
        logits: Tensor = self.head(self.back1(torch.cat([first, self.up1(back)], 1)))
        return logits[:, :, :height, :breadth]
