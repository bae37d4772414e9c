"""Stratified draws: the keys of one mean, such that every mode of a network takes part as often as its probability.

A network with modes (``variate.random.families.modes``) that answers with the mean of S draws makes no use of chance
in the mode: with S a multiple of K, each of the K modes takes part S / K times. Every draw still is a function of its
key: of a key for the wrong mode, the next keys derived from it are tried until one leads to the right mode.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import chain

from torch import Tensor, nn

from variate.errors import UsageError
from variate.random.families.modes import Modes
from variate.random.handle import handle_of
from variate.random.inside import drawn_in
from variate.random.keys import derived, hash_words
from variate.random.noise import threefry

Found = tuple[Modes, tuple[Tensor, ...]]
TRIES = 10_000  # keys for one mode


def modes_in(net: nn.Module) -> Found | None:
    """The family with modes of a random network, and its learned tensors; None for draws without modes.

    Of several random networks in a module, those of the first that has modes.
    """
    for part in drawn_in(net).values():
        handle = handle_of(part)
        for index, distribution in enumerate(handle.draws.distributions):
            if isinstance(distribution, Modes):
                return distribution, handle.places_in(part).groups()[index][2:]
    return None


def count_of_modes(net: nn.Module) -> int:
    """K, the number of modes of the network; 1 if its draws have no modes."""
    found = modes_in(net)
    return 1 if found is None else found[0].modes


def mode_of(net: nn.Module, key: int) -> int:
    """The mode of the draw of a key, from 0 to K - 1; 0 if draws have no modes."""
    return _mode(key, _edges(modes_in(net)))


def stratified(net: nn.Module, keys: Sequence[int]) -> list[int]:
    """Keys of the same streams whose draws, together, use the modes of the network evenly.

    Mode m takes part in p_m S of S draws, rounded up or down by chance, in random order: with equal probabilities and S
    a multiple of K, S / K times each. A single key stays as it is, and so do all keys of a network without modes: its
    draws are independent. The result is a function of the keys and the probabilities.

    Args:
        net: a random network, or a module that contains one.
        keys: S different keys.

    Example:
        >>> from variate.random.randomize import randomize
        >>> net = randomize(nn.Linear(2, 2), "modes(count=3)")
        >>> sorted(mode_of(net, key) for key in stratified(net, [1, 2, 3]))
        [0, 1, 2]
    """
    return stratified_by(modes_in(net), keys) if len(keys) > 1 else list(keys)


def stratified_by(found: Found | None, keys: Sequence[int]) -> list[int]:
    """``stratified``, from the family with modes and its learned tensors; None for draws without modes."""
    if found is None:
        return list(keys)
    edges = _edges(found)
    coins = random.Random(hash_words("strata", *keys))  # the secret, if there is one, is in the keys
    start = coins.random()
    modes = [bisect_right(edges, (j + start) / len(keys)) for j in range(len(keys))]
    coins.shuffle(modes)
    return [_key_for(key, mode, edges) for key, mode in zip(keys, modes, strict=True)]


def enumerated(net: nn.Module, keys: Sequence[int]) -> tuple[list[int], Tensor | None]:
    """Keys of the same streams whose draws use every mode equally often, and the weight of each draw in the mean.

    Where S is the number of modes, they are in the order of the modes, which makes their draws quickest.

    Unlike ``stratified``, which deploys S equal draws, it has no chance in the number of draws of a mode: the weights
    carry the probabilities, and their gradient.

    Args:
        net: a random network, or a module that contains one.
        keys: S different keys.

    Returns:
        The keys, and the weights (S,), which sum to 1; None where all are equal.

    Raises:
        UsageError: if the probabilities are learned and S is not a multiple of the number of modes.
    """
    found = modes_in(net)
    if found is None:
        return list(keys), None
    if found[0].probabilities == "fixed":
        return sorted(stratified(net, keys), key=partial(_mode, edges=_edges(found))), None
    family, learned = found
    if len(keys) % family.modes:
        raise UsageError(
            f"{len(keys)} draws cannot use {family.modes} modes equally often", expected=f"a multiple of {family.modes}"
        )
    edges = _edges(found)
    modes = [j % family.modes for j in range(len(keys))]
    weights = family.chances(*learned)[modes] * (family.modes / len(keys))
    return [_key_for(key, mode, edges) for key, mode in zip(keys, modes, strict=True)], weights


def _edges(found: Found | None) -> list[float]:
    return [] if found is None else [float(edge) for edge in found[0].edges(*found[1]).tolist()]


def _mode(key: int, edges: Sequence[float]) -> int:
    return bisect_right(edges, threefry.unit(key))


def _key_for(key: int, mode: int, edges: Sequence[float]) -> int:
    """The first key derived from ``key``, itself included, whose draw has a mode."""
    candidates = chain([key], (derived(key, "mode", i) for i in range(TRIES)))
    return next((candidate for candidate in candidates if _mode(candidate, edges) == mode), key)
