"""A small transformer for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from variate.inputs.words import Tokens
from variate.registry import network


@network(
    modality=("text",), cite="Vaswani et al. 2017, arXiv:1706.03762; pre-norm: Xiong et al. 2020, arXiv:2002.04745"
)
class Transformer(nn.Module):
    """Two encoder layers with learned positions, mean pooling over words, one linear layer.

    Args:
        shape: shape of one input, (T, 1).
        classes: number of classes, K.
        details: details of the data set, with its vocabulary as ``words``.
        width: size of a word's vector.
        layers: number of encoder layers.
        heads: number of attention heads.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        details: Mapping[str, Any],
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.tokens = Tokens(len(details["words"]), width)
        self.positions = nn.Parameter(0.1 * torch.randn(shape[0], width))
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        hidden, mask = self.states(x)
        weights = mask.to(hidden).unsqueeze(-1)
        mean = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
        logits: Tensor = self.head(mean)
        return logits

    def states(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of every word in its context, (B, T, E), and the mask of words that are not padding, (B, T)."""
        vectors, mask = self.tokens(x)
        return self.encoder(vectors + self.positions, src_key_padding_mask=~mask), mask
