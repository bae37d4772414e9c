"""Words as numbers in [0, 1], and the layer that makes vectors of them.

An input of T words has shape (T, 1), each the word's number divided by 65,536, which float32 holds exactly; 0 is
padding. Numbers of words have no gradient. In the *smooth* form (T, 1 + E) the words are followed by what is added to
their E-dimensional vectors: 1/2 is nothing, and v adds (v - 1/2) * 2 * ``RADIUS``.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import cast

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
            vectors = vectors + moved_by(x, self.width)
        return vectors * there.unsqueeze(-1), there


class Lookup(nn.Module):
    """A network of one's own for texts, which looks its words up in a ``torch.nn.Embedding``, taken as one of ours.

    It is given the numbers of the words alone, (B, T, 1) as in any input; what the smooth form adds to the words'
    vectors is added to what its embedding hands on. Row N of the embedding belongs to word number N.

    Args:
        network: from inputs of shape (B, T, 1) to logits.
        words: how many words there are; the embedding has as many rows at least.
        embedding: its name in the network; without one, the only one that has as many rows.

    Raises:
        UsageError: where there is no such embedding, or several.
    """

    def __init__(self, network: nn.Module, words: int, embedding: str | None = None) -> None:
        super().__init__()
        every = {name: one for name, one in network.named_modules() if isinstance(one, nn.Embedding)}
        fitting = [name for name, one in every.items() if one.num_embeddings >= words and embedding in (None, name)]
        if len(fitting) != 1:
            raise UsageError(
                f"{type(network).__name__} has {len(fitting) or 'no'} embeddings of {words:,} words"
                + (f" named {embedding}" if embedding else ""),
                findings=[f"{name}: {one.num_embeddings:,} rows" for name, one in every.items()],
                expected="one torch.nn.Embedding, whose row N belongs to word number N",
                todo="variate.inputs.words.Lookup(network, words, 'its name')",
            )
        self.network = network
        self.place = fitting[0]
        self.embedding.register_forward_hook(_with_moved)

    @property
    def embedding(self) -> nn.Embedding:
        """Of the words."""
        return cast(nn.Embedding, self.network.get_submodule(self.place))

    @property
    def width(self) -> int:
        """E."""
        return self.embedding.embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Inputs in either form to logits."""
        moved = MOVED.set(moved_by(x, self.width) if x.shape[-1] > 1 else None)
        try:
            logits: Tensor = self.network(x[..., :1])
        finally:
            MOVED.reset(moved)
        return logits


MOVED: ContextVar[Tensor | None] = ContextVar("MOVED", default=None)  # in each thread its own


def _with_moved(_embedding: nn.Module, _ids: tuple[Tensor, ...], vectors: Tensor) -> Tensor:
    """The vectors that an embedding found, with what is added to them."""
    moved = MOVED.get()
    if moved is None:
        return vectors
    if moved.shape != vectors.shape:
        raise InputError(
            f"the embedding made {tuple(vectors.shape)} of texts that have {tuple(moved.shape)}",
            expected="a network that looks every word of a text up once, in its place",
            todo="attack it by what only asks: --suite none --attack greedy-words",
        )
    return vectors + moved


LAYERS = (Tokens, Lookup)


def moved_by(x: Tensor, width: int) -> Tensor:
    """What the smooth form adds to vectors of E values: (B, T, 1 + E) to (B, T, E). Raises ``InputError``."""
    if x.shape[-1] - 1 != width:
        raise InputError(
            f"vectors of {x.shape[-1] - 1} values are moved, and this network's words have {width}",
            expected="a network whose words have vectors of the same width",
            todo="transfer from such a network, or attack within words:K, which every network for texts shares",
        )
    return (x[..., 1:] - 0.5) * (2 * RADIUS)


def reads_words(network: nn.Module) -> bool:
    """Whether a network has a layer that makes vectors of words."""
    return any(isinstance(module, LAYERS) for module in network.modules())


def tokens_of(network: nn.Module) -> Tokens | Lookup:
    """The layer that makes vectors of words. Raises ``UsageError`` where there is none."""
    found = next((module for module in network.modules() if isinstance(module, LAYERS)), None)
    if found is None:
        raise UsageError(
            f"{type(network).__name__} has no layer that is known to make vectors of words",
            expected="a network of `variate list --modality text`, or variate.inputs.words.Lookup(network, words)",
            todo="attack it by what only asks: greedy-words and greedy-words-labels, within words:2",
        )
    return found


def vectors_of(network: nn.Module) -> Tensor:
    """The vectors of all words, (V, E); of several such layers, as the members of an ensemble have, their mean.

    Raises ``UsageError`` where there is no such layer.
    """
    first = tokens_of(network)
    alike = [one for one in network.modules() if isinstance(one, LAYERS) and one.width == first.width]
    return torch.stack([one.embedding.weight.detach() for one in alike]).mean(0)
