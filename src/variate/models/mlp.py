"""A multilayer perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from variate.models.parts.normalize import Normalize
from variate.registry import network


@network(modality=("image", "tabular"), cite="Rumelhart, Hinton & Williams 1986")
class MLP(nn.Module):
    """Two hidden layers with ReLU: (B, C, H, W) or (B, D) in [0, 1] to (B, K) logits.

    Args:
        shape: shape of one input, (C, H, W), or (D,) for a row of features.
        classes: number of classes, K.
        mean: means of the training split, per channel or feature.
        std: standard deviations of the training split, per channel or feature.
        hidden: width of both hidden layers.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(mean, std, len(shape) - 1)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(shape), hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        logits: Tensor = self.layers(self.normalize(x))
        return logits
