"""Words as numbers in [0, 1], and the layer that makes vectors of them.

An input of T words has shape (T, 1), each the word's number divided by 65,536, which float32 holds exactly; 0 is
padding. Numbers of words have no gradient. In the *smooth* form (T, 1 + E) the words are followed by what is added to
their E-dimensional vectors: 1/2 is nothing, and v adds (v - 1/2) * 2 * ``RADIUS``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from variate.errors import InputError, UsageError

WORDS = 65_536  # numbers of words lie below
RADIUS = 8.0  # the most that the smooth form adds to one value of a word's vector
PADDING, UNKNOWN = 0, 1


def ids_of(x: Tensor) -> Tensor:
    """The numbers of the words of inputs in either form: (..., T, C) to (..., T)."""
    return (x[..., 0].detach() * WORDS).round().long()


def inputs_of(ids: Tensor) -> Tensor:
    """Inputs from numbers of words: (..., T) to (..., T, 1)."""
    return (ids.to(torch.float32) / WORDS).unsqueeze(-1)


def smooth(x: Tensor, width: int) -> Tensor:
    """The smooth form of inputs, nothing added: (B, T, 1) to (B, T, 1 + E); inputs that have it stay."""
    if x.shape[-1] > 1:
        return x
    return torch.cat([x, x.new_full((*x.shape[:-1], width), 0.5)], -1)


class Tokens(nn.Module):
    """The first layer of a network for texts: inputs in either form to the vectors of their words.

    Args:
        words: how many words there are, padding and the unknown word among them.
        width: E, of a word's vector.
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)

    @property
    def width(self) -> int:
        """E."""
        return self.embedding.embedding_dim

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, T, E), zero at padding, and where words are, (B, T)."""
        ids = ids_of(x)
        there = ids != PADDING  # (B, T)
        vectors = self.embedding(ids)  # (B, T, E)
        if x.shape[-1] > 1:
            vectors = vectors + self._added(x)
        return vectors * there.unsqueeze(-1), there

    def _added(self, x: Tensor) -> Tensor:
        """What the smooth form adds: (B, T, 1 + E) to (B, T, E)."""
        width = x.shape[-1] - 1
        if width != self.width:
            raise InputError(
                f"vectors of {width} values are moved, and this network's words have {self.width}",
                expected="a network whose words have vectors of the same width",
                todo="transfer from such a network, or attack within words:K, which every network for texts shares",
            )
        return (x[..., 1:] - 0.5) * (2 * RADIUS)


def tokens_of(network: nn.Module) -> Tokens:
    """The layer that makes vectors of words. Raises ``UsageError`` where there is none."""
    found = next((module for module in network.modules() if isinstance(module, Tokens)), None)
    if found is None:
        raise UsageError(
            f"{type(network).__name__} has no layer of variate.tokens.Tokens",
            expected="a network for texts: see `variate list --modality text`",
            todo="variate.evaluate(..., attacks=['greedy-words'], budget='words:2'), which only asks",
        )
    return found


def vectors_of(network: nn.Module) -> Tensor:
    """The vectors of all words, (V, E); of several such layers, as the members of an ensemble have, their mean.

    Raises ``UsageError`` where there is no such layer.
    """
    first = tokens_of(network)
    alike = [one for one in network.modules() if isinstance(one, Tokens) and one.width == first.width]
    return torch.stack([one.embedding.weight.detach() for one in alike]).mean(0)
