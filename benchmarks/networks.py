"""The cases of the benchmarks: a deterministic network with one batch of inputs and labels for each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from variate.datasets.info import About
from variate.training.saved import build

CLASSES = 10
Case = tuple[nn.Module, Tensor, Tensor]


class Encoder(nn.Module):
    """A Transformer encoder with a linear head on the mean token: (B, T, D) embedded inputs to (B, K) logits."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(256, 4, dim_feedforward=1024, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4)
        self.head = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        logits: Tensor = self.head(self.encoder(x).mean(1))
        return logits


class Recurrent(nn.Module):
    """A two-layer LSTM with a linear head on the last step: (B, T, D) to (B, K) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(64, 256, 2, batch_first=True)
        self.head = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        hidden = self.lstm(x)[0]  # (B, T, 256)
        logits: Tensor = self.head(hidden[:, -1])
        return logits


def lenet_128() -> Case:
    """LeNet, 128 inputs of 1x28x28."""
    return images("lenet", (1, 28, 28), 128)


def resnet18_32() -> Case:
    """ResNet-18, 32 inputs of 3x32x32."""
    return images("resnet18", (3, 32, 32), 32)


def resnet18_128() -> Case:
    """ResNet-18, 128 inputs of 3x32x32."""
    return images("resnet18", (3, 32, 32), 128)


def encoder_32() -> Case:
    """Encoder of 4 layers, 256 wide, 32 inputs of 64 tokens."""
    torch.manual_seed(0)
    return Encoder(), torch.randn(32, 64, 256), _labels(32)


def lstm_32() -> Case:
    """LSTM of 2 layers, 256 wide, 32 inputs of 64 steps."""
    torch.manual_seed(0)
    return Recurrent(), torch.randn(32, 64, 64), _labels(32)


CASES: dict[str, Callable[[], Case]] = {
    "LeNet b128": lenet_128,
    "ResNet-18 b32": resnet18_32,
    "ResNet-18 b128": resnet18_128,
    "encoder b32": encoder_32,
    "LSTM b32": lstm_32,
}


def images(architecture: str, shape: tuple[int, int, int], batch: int) -> Case:
    """A registered architecture with a batch of images."""
    torch.manual_seed(0)
    network = build(architecture, About("image", shape, CLASSES, (0.5,), (0.25,)))
    return network, torch.rand(batch, *shape), _labels(batch)


def _labels(batch: int) -> Tensor:
    return torch.randint(0, CLASSES, (batch,))
