"""Which keys a training run draws its networks with."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import nn

from variate.random.fixing import keys_from
from variate.random.keys import Stream, hash_words
from variate.random.network import RandomNetwork

FAR = 2**40  # no training takes as many steps, so what is set apart meets none of its keys


def apart(purpose: str, seed: int, epoch: int) -> Stream:
    """Keys of the training's stream that no step takes: for one purpose in one epoch."""
    return Stream("train", seed, index=FAR + hash_words(purpose, epoch) % FAR)


def drawing(network: nn.Module, stream: Stream) -> AbstractContextManager[None]:
    """Inside, a random network takes its keys from ``stream``; any other is as it was."""
    return keys_from(network, stream) if isinstance(network, RandomNetwork) else nullcontext()
