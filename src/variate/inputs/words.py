"""Words as inputs in [0, 1], and the layers that embed them.

An input of T words has shape (T, 1): the index of each word divided by 65,536, which float32 represents exactly; 0 is
padding. Indices have no gradient. In the *smooth* form (T, 1 + E) each word is followed by an offset to its
E-dimensional vector: a value v adds (v - 1/2) * 2 * ``RADIUS``, so 1/2 adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from variate.errors import InputError, UsageError

WORDS = 65_536  # indices of words are below
RADIUS = 8.0  # largest offset to one value of a word's vector
PADDING, UNKNOWN = 0, 1


def ids_of(x: Tensor) -> Tensor:
    """Indices of the words of inputs in either form: (..., T, C) to (..., T).

    Raises:
        InputError: for inputs in 16 bits, which cannot tell the words apart.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        raise InputError(
            f"words are rounded in {x.dtype}: most of their indices become those of other words",
            expected="inputs in float32, whatever type the network computes in",
            todo="pass x.float() from where the words were first turned into inputs",
        )
    return (x[..., 0].detach() * WORDS).round().long()


def inputs_of(ids: Tensor) -> Tensor:
    """Inputs from indices of words: (..., T) to (..., T, 1)."""
    return (ids.to(torch.float32) / WORDS).unsqueeze(-1)


def smooth(x: Tensor, width: int) -> Tensor:
    """The smooth form of inputs with zero offsets: (B, T, 1) to (B, T, 1 + E); smooth inputs are returned unchanged."""
    if x.shape[-1] > 1:
        return x
    return torch.cat([x, x.new_full((*x.shape[:-1], width), 0.5)], -1)


def hidden_word(x: Tensor, value: float) -> Tensor:
    """What stands for a hidden word in inputs of either form, with ``value`` for its index: (C,), without an offset."""
    hidden = x.new_full((x.shape[-1],), 0.5)
    hidden[0] = value
    return hidden


class Tokens(nn.Module):
    """The first layer of a network for texts: embeds the words of inputs in either form.

    Args:
        words: size of the vocabulary, including padding and the unknown word.
        width: size of a word's vector, E.
    """

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)

    @property
    def width(self) -> int:
        """Size of a word's vector, E."""
        return self.embedding.embedding_dim

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, T, E), zero at padding, and the mask of words that are not padding, (B, T)."""
        ids = ids_of(x)
        mask = ids != PADDING  # (B, T)
        vectors = self.embedding(ids)  # (B, T, E)
        if x.shape[-1] > 1:
            vectors = vectors + offsets_of(x, self.width).to(vectors)
        return vectors * mask.unsqueeze(-1), mask


class Lookup(nn.Module):
    """Wraps the user's own network for texts, which embeds words with a ``torch.nn.Embedding``.

    The network gets plain inputs, (B, T, 1); offsets of the smooth form are added to the output of its embedding. Row N
    of the embedding must belong to word N of the vocabulary.

    Args:
        network: a network from inputs of shape (B, T, 1) to logits.
        words: size of the vocabulary; the embedding has at least as many rows.
        embedding: name of the embedding in the network; by default the only one with enough rows.

    Raises:
        UsageError: if there is no such embedding, or several.
    """

    def __init__(self, network: nn.Module, words: int, embedding: str | None = None) -> None:
        super().__init__()
        embeddings = {name: module for name, module in network.named_modules() if isinstance(module, nn.Embedding)}
        candidates = [
            name for name, module in embeddings.items() if module.num_embeddings >= words and embedding in (None, name)
        ]
        if len(candidates) != 1:
            raise UsageError(
                f"{type(network).__name__} has {len(candidates) or 'no'} embeddings of {words:,} words"
                + (f" named {embedding}" if embedding else ""),
                findings=[f"{name}: {module.num_embeddings:,} rows" for name, module in embeddings.items()],
                expected="one torch.nn.Embedding whose row N belongs to word N",
                todo="variate.inputs.words.Lookup(network, words, 'its name')",
            )
        self.network = network
        self.embedding_name = candidates[0]
        make_movable(self.embedding)

    @property
    def embedding(self) -> nn.Embedding:
        """The embedding of the words."""
        return cast(nn.Embedding, self.network.get_submodule(self.embedding_name))

    @property
    def width(self) -> int:
        """Size of a word's vector, E."""
        return self.embedding.embedding_dim

    def forward(self, x: Tensor) -> Tensor:
        """Inputs in either form to logits."""
        with moved_by(offsets_of(x, self.width) if x.shape[-1] > 1 else None):
            logits: Tensor = self.network(x[..., :1])
        return logits


OFFSETS: ContextVar[Tensor | None] = ContextVar("OFFSETS", default=None)  # one value per thread


@contextmanager
def moved_by(offsets: Tensor | None) -> Iterator[None]:
    """Context in which embeddings made by ``make_movable`` add offsets to their vectors; None: nothing."""
    previous = OFFSETS.set(offsets)
    try:
        yield
    finally:
        OFFSETS.reset(previous)


def make_movable(embedding: nn.Embedding) -> RemovableHandle | None:
    """Let the vectors of an embedding be ``moved_by`` offsets; the handle ends that, None if they were before."""
    if add_offsets in embedding._forward_hooks.values():  # a second hook would add the offsets twice
        return None
    return embedding.register_forward_hook(add_offsets)


def add_offsets(_embedding: nn.Module, _ids: tuple[Tensor, ...], vectors: Tensor) -> Tensor:
    """A forward hook of an embedding that adds the offsets of ``moved_by`` to its vectors."""
    offsets = OFFSETS.get()
    if offsets is None:
        return vectors
    if offsets.shape != vectors.shape:
        raise InputError(
            f"the embedding returned shape {tuple(vectors.shape)}, but these texts need {tuple(offsets.shape)}",
            expected="a network that looks up every word of a text once, in order",
            todo="use a black-box attack: --suite none --attack greedy-words",
        )
    return vectors + offsets.to(vectors)


LAYERS = (Tokens, Lookup)


def offsets_of(x: Tensor, width: int) -> Tensor:
    """The offsets that the smooth form adds to vectors of size E: (B, T, 1 + E) to (B, T, E). Raises ``InputError``."""
    if x.shape[-1] - 1 != width:
        raise InputError(
            f"the inputs move vectors of size {x.shape[-1] - 1}, but this network's words have vectors of size {width}",
            expected="a network with word vectors of the same size",
            todo="transfer from such a network, or use a budget words:K, which does not depend on the size of vectors",
        )
    return (x[..., 1:] - 0.5) * (2 * RADIUS)


def reads_words(network: nn.Module) -> bool:
    """Whether a network has a layer that embeds words."""
    return any(isinstance(module, LAYERS) for module in network.modules())


def tokens_of(network: nn.Module) -> Tokens | Lookup:
    """The layer that embeds words. Raises ``UsageError`` if there is none."""
    layer = next((module for module in network.modules() if isinstance(module, LAYERS)), None)
    if layer is None:
        raise UsageError(
            f"{type(network).__name__} has no known layer that embeds words",
            expected="a network of `variate list --modality text`, or variate.inputs.words.Lookup(network, words)",
            todo="use a black-box attack within words:2: greedy-words or greedy-words-labels",
        )
    return layer


def vectors_of(network: nn.Module) -> Tensor:
    """The vectors of all words, (V, E); averaged over several such layers, as in an ensemble.

    Raises ``UsageError`` if there is no such layer.
    """
    first = tokens_of(network)
    layers = [module for module in network.modules() if isinstance(module, LAYERS) and module.width == first.width]
    return torch.stack([module.embedding.weight.detach() for module in layers]).mean(0)
