"""ResNet-18 with a stem for small images."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from variate.models.parts.normalize import Normalize
from variate.registry import network


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut: (B, C, H, W) to (B, C', H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


@network(modality=("image",), cite="He et al. 2016, arXiv:1512.03385")
class ResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem and no initial pooling, for inputs such as 3x32x32 and 1x28x28.

    Args:
        shape: shape of one input, (C, H, W).
        classes: number of classes, K.
        mean: channel means of the training split.
        std: channel standard deviations of the training split.
        width: channels of the first stage; doubled at each of the other three.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        width: int = 64,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std)
        self.conv1 = nn.Conv2d(shape[0], width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages = [(width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2), (4 * width, 8 * width, 2)]
        self.blocks = nn.Sequential(
            *(block for i, o, stride in stages for block in (Block(i, o, stride), Block(o, o, 1)))
        )
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        hidden = F.relu(self.bn1(self.conv1(self.normalize(x))))
        hidden = self.blocks(hidden).mean((2, 3))  # (B, 8 * width)
        logits: Tensor = self.fc(hidden)
        return logits
