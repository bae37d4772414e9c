"""Lower bounds that a certificate rests on, from the answers of independent draws."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Floats = NDArray[np.float64]


def lowest(right: ArrayLike, draws: int, alpha: float) -> Floats:
    """The one-sided lower bound of Clopper & Pearson 1934 on a probability, from ``right`` of ``draws`` trials.

    It is above the true probability with probability at most ``alpha``.
    """
    k = np.asarray(right, dtype=np.float64)
    return np.where(k > 0, special.betaincinv(np.maximum(k, 1), draws - k + 1, alpha), 0.0)


def majority(p: ArrayLike, votes: int) -> Floats:
    """P(more than half of ``votes`` independent answers are right), each right with probability ``p``: rises in p."""
    bound: Floats = stats.binom.sf(votes // 2, votes, np.asarray(p, dtype=np.float64))
    return bound


def draws_for(p: float, alpha: float) -> int:
    """The smallest number of draws that, all right, bound the probability by ``p`` or more from below: alpha^(1/n)."""
    return math.ceil(math.log(alpha) / math.log(p))


def votes_for(p: float, draws: int, alpha: float) -> int:
    """The smallest number of right votes of ``draws`` whose lower bound is above ``p``; more than all if none is."""
    bounds = lowest(np.arange(draws + 1), draws, alpha) if alpha else np.arange(draws + 1) / draws
    return int(np.searchsorted(bounds, p, side="right"))


def at_least(p: ArrayLike, votes: int, draws: int) -> Floats:
    """P(at least ``votes`` of ``draws`` independent votes are right), each right with probability ``p``."""
    bound: Floats = stats.binom.sf(votes - 1, draws, np.asarray(p, dtype=np.float64))
    return bound
