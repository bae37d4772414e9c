"""A convolutional network for raw waveforms."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from variate.errors import UsageError
from variate.models.parts.level import Level
from variate.models.parts.strided import StridedConv1d
from variate.registry import network

Norm = Literal["batch", "group"]


@network(modality=("audio",), cite="Dai et al. 2017, arXiv:1610.00087, table 1")
class M5(nn.Module):
    """M5: a convolution of width 80 and stride 4, three of width 3, each with batch norm, ReLU and pooling by 4.

    Mean pooling over time and one linear layer follow. The paper uses a width of 128 and standardizes waveforms to mean
    0 and variance 1 beforehand; this network divides every clip by its root mean square instead.

    Args:
        shape: shape of one input, (1, T), with T at least 1,024.
        classes: number of classes, K.
        width: channels of the first two convolutions; the third has twice as many, the last four times.
        norm: ``batch``, as in the paper, or ``group``: all channels and times of a clip, for networks with several
            modes, which would share the statistics of batch norm.

    Raises:
        UsageError: if ``norm`` is neither.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, *, width: int = 32, norm: Norm = "batch") -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise UsageError(f"the norm of an M5 is {norm!r}", expected=" or ".join(get_args(Norm)))
        self.level = Level()
        self.convolutions = nn.ModuleList(
            [
                StridedConv1d(shape[0], width, 80, stride=4, padding=38),
                nn.Conv1d(width, width, 3, padding=1),
                nn.Conv1d(width, 2 * width, 3, padding=1),
                nn.Conv1d(2 * width, 4 * width, 3, padding=1),
            ]
        )
        sizes = [width, width, 2 * width, 4 * width]
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) if norm == "batch" else nn.GroupNorm(1, size) for size in sizes)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, 1, T) to logits of shape (B, K)."""
        x = self.level(x)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(F.max_pool1d(norm(convolution(x)), 4))  # T / 16, then a quarter each; pooling first is faster
        logits: Tensor = self.head(x.mean(2))
        return logits
