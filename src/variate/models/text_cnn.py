"""A convolutional network for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from variate.inputs.words import Tokens
from variate.registry import network


@network(modality=("text",), cite="Kim 2014, arXiv:1408.5882")
class TextCNN(nn.Module):
    """Convolutions over 3, 4 and 5 words, max pooling over the text, one linear layer.

    Args:
        shape: shape of one input, (T, 1).
        classes: number of classes, K.
        details: details of the data set, with its vocabulary as ``words``.
        width: size of a word's vector.
        filters: number of filters of each of the three widths.
    """

    def __init__(
        self, shape: tuple[int, ...], classes: int, *, details: Mapping[str, Any], width: int = 50, filters: int = 50
    ) -> None:
        super().__init__()
        self.tokens = Tokens(len(details["words"]), width)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, size, padding=size // 2) for size in (3, 4, 5))
        self.head = nn.Linear(3 * filters, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        vectors, _ = self.tokens(x)
        signal = vectors.transpose(1, 2)  # (B, E, T)
        pooled = [torch.relu(layer(signal)).amax(2) for layer in self.convolutions]
        logits: Tensor = self.head(torch.cat(pooled, 1))
        return logits
