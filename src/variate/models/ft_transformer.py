"""FT-Transformer: one token per feature of a table, and a transformer over the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from variate.inputs.columns import columns_of, groups_of
from variate.models.parts.normalize import Normalize
from variate.registry import network


class FeatureTokenizer(nn.Module):
    """One token per feature, preceded by a classification token: (B, D) to (B, 1 + F, width).

    The token of a number is ``b + x w``, that of a category ``b + w[category]``: the sum of the feature's columns times
    their weights (section 3.3). The classification token comes first and consists of its ``b`` alone.

    Args:
        owners: the feature of every column, D indices below F.
        width: size of a token.
    """

    owners: Tensor

    def __init__(self, owners: Sequence[int], width: int) -> None:
        super().__init__()
        self.register_buffer("owners", F.one_hot(torch.tensor(owners) + 1, max(owners) + 2).T.float())  # (1 + F, D)
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(len(owners), width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(max(owners) + 2, width).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Convert rows (B, D) to tokens (B, 1 + F, width)."""
        return self.owners @ (x[:, :, None] * self.weight) + self.bias


class Block(nn.Module):
    """Attention over tokens, then a ReGLU layer, each pre-normalized and residual: (B, T, W) to (B, T, W).

    Args:
        width: size of a token, W.
        heads: number of attention heads.
        first: whether it is the first block, which does not normalize the input of its attention.
    """

    def __init__(self, width: int, heads: int, *, first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.Identity() if first else nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        hidden = 4 * width // 3
        self.wide = nn.Linear(width, 2 * hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """The tokens after one block."""
        queries, keys, values = self._heads(self.projections(self.norm1(tokens)))  # each (B, heads, T, W / heads)
        weights = (queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5).softmax(-1)  # (B, heads, T, T)
        tokens = tokens + self.out((weights @ values).transpose(1, 2).flatten(2))
        value, gate = self.wide(self.norm2(tokens)).chunk(2, -1)
        narrow: Tensor = self.narrow(value * F.relu(gate))
        return tokens + narrow

    def _heads(self, projected: Tensor) -> tuple[Tensor, ...]:
        return tuple(part.reshape(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in projected.chunk(3, -1))


@network(modality=("tabular",), cite="Gorishniy et al. 2021, arXiv:2106.11959, section 3.3")
class FTTransformer(nn.Module):
    """A small FT-Transformer: tokens of size 32, two blocks, four heads, no dropout.

    Args:
        shape: shape of one input, (D,).
        classes: number of classes, K.
        mean: mean of every column in the training split; 0 for categories.
        std: standard deviation of every column in the training split; 1 for categories.
        details: details of the data set; ``features`` declares its columns and which of them are categories of one
            feature. Without it, every column is numeric.
        width: size of a token, a multiple of ``heads``.
        blocks: number of blocks.
        heads: number of attention heads per block.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        *,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        details: Mapping[str, Any] | None = None,
        width: int = 32,
        blocks: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        groups = groups_of(columns_of((details or {}).get("features", ()))).values()
        owners = [i for i, columns in enumerate(groups) for _ in columns] or list(range(shape[0]))
        self.normalize = Normalize(mean, std, 0)
        self.tokenize = FeatureTokenizer(owners, width)
        self.blocks = nn.Sequential(*(Block(width, heads, first=i == 0) for i in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (B, K)."""
        tokens = self.blocks(self.tokenize(self.normalize(x)))
        logits: Tensor = self.head(F.relu(self.norm(tokens[:, 0])))
        return logits
