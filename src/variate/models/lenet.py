"""LeNet-5 with ReLU and max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.models.parts.normalize import Normalize
from variate.models.parts.pooling import halved
from variate.registry import network


@network(modality=("image",), cite="LeCun et al. 1998")
class LeNet(nn.Module):
    """LeNet-5: two 5x5 convolutions (6 and 16 channels), then 120 and 84 units; ReLU, max pooling, padded.

    Args:
        shape: shape of one input, (C, H, W), with sides of at least 4.
        classes: number of classes, K.
        mean: channel means of the training split.
        std: channel standard deviations of the training split.
        width: factor on all channels and units, above 0; the number of parameters grows with about its square.

    Raises:
        UsageError: if ``width`` is not above 0.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width < math.inf:
            raise UsageError(f"the width of a LeNet is {width!r}", expected="a number above 0, such as 2")
        channels, height, breadth = shape
        first, second, third, fourth = (max(1, round(width * size)) for size in (6, 16, 120, 84))
        self.normalize = Normalize(mean, std)
        self.conv1 = nn.Conv2d(channels, first, 5, padding=2)
        self.conv2 = nn.Conv2d(first, second, 5, padding=2)
        self.fc1 = nn.Linear(second * (height // 4) * (breadth // 4), third)
        self.fc2 = nn.Linear(third, fourth)
        self.fc3 = nn.Linear(fourth, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        x = self.normalize(x)
        x = halved(F.relu(self.conv1(x)))  # (B, 6 * width, H/2, W/2)
        x = halved(F.relu(self.conv2(x))).flatten(1)  # (B, 16 * width * H/4 * W/4)
        logits: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        return logits
