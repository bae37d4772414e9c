"""A small transformer with an answer for every word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from variate.models.transformer import Transformer
from variate.registry import network


@network(modality=("text",), cite="Devlin et al. 2019, arXiv:1810.04805, figure 4d", tasks=("positions",))
class TransformerTagger(nn.Module):
    """The network ``transformer`` without pooling: its linear layer answers at every word.

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
        self.transformer = Transformer(shape, classes, details=details, width=width, layers=layers, heads=heads)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, T, K)."""
        logits: Tensor = self.transformer.head(self.transformer.states(x)[0])
        return logits
