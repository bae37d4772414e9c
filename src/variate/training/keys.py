"""The keys that a training run draws its networks with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import nn

from variate.random.fixing import keys_from
from variate.random.inside import drawn_in
from variate.random.keys import Stream, hash_words

FAR = 2**40  # more steps than any training takes, so that reserved keys never collide with those of steps


def apart(purpose: str, seed: int, epoch: int) -> Stream:
    """A stream of keys reserved for one purpose in one epoch, which no training step uses."""
    return Stream("train", seed, index=FAR + hash_words(purpose, epoch) % FAR)


def drawing(network: nn.Module, stream: Stream) -> AbstractContextManager[None]:
    """A context in which every random network in ``network`` takes its keys from ``stream``."""
    return keys_from(network, stream) if drawn_in(network) else nullcontext()
