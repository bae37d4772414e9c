"""A convolution over time with a long kernel and a stride, computed on frames."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class StridedConv1d(nn.Conv1d):
    """``nn.Conv1d`` whose kernel is a multiple of its stride, several times as fast on a CPU, with the same parameters.

    Each run of ``stride`` values becomes one frame with ``stride`` times as many channels, over which the convolution
    has stride 1 and a kernel shorter by that factor. The values agree with ``nn.Conv1d`` up to rounding.

    Args:
        inputs: input channels, C.
        outputs: output channels, D.
        kernel: length of the kernel, a multiple of ``stride``.
        stride: values from one output to the next.
        padding: zeros added on both sides.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int, padding: int) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs of shape (B, C, T) to (B, D, T')."""
        stride, padding = self.stride[0], int(self.padding[0])
        padded = F.pad(x, (padding, padding))
        frames = padded[..., : padded.shape[-1] // stride * stride]
        return F.conv1d(_framed(frames, stride), _framed(self.weight, stride), self.bias)


def _framed(values: Tensor, stride: int) -> Tensor:
    """Runs of ``stride`` values as channels: (..., C, T) to (..., C * stride, T / stride)."""
    runs = values.reshape(*values.shape[:-1], values.shape[-1] // stride, stride)  # (..., C, T / stride, stride)
    return runs.transpose(-1, -2).flatten(-3, -2)
