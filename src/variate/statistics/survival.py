"""The persistent attacker: the probability that N answers to the same input are all right, or their lowest score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from variate.errors import UsageError

Floats = NDArray[np.float64]
CURVE = tuple(range(1, 101))


def all_right(right: Floats, draws: int, size: int) -> Floats:
    """Unbiased estimate of P(N answers are all right): C(c, N) / C(n, N) for c right answers of n draws.

    The U-statistic of order N (like pass@k of Chen et al. 2021, arXiv:2107.03374, equation 1), computed with
    log-factorials, so that thousands of draws do not overflow.

    Args:
        right: number of right answers, c, of any shape.
        draws: number of draws, n.
        size: number of queries, N, at most n.

    Raises:
        UsageError: if there are more queries than draws.
    """
    if size > draws:
        raise UsageError(f"survive-{size} cannot be estimated from {draws} draws", todo=f"judge with {size} or more")
    enough = right >= size
    c = np.where(enough, right, size)
    logs = gammaln(c + 1) - gammaln(c - size + 1) + gammaln(draws - size + 1) - gammaln(draws + 1)
    return np.where(enough, np.exp(np.minimum(logs, 0.0)), 0.0)


def least_weights(draws: int, size: int) -> Floats:
    """The weights of sorted scores in the unbiased estimate of the expected minimum of N: C(n - i, N - 1) / C(n, N).

    In so many of the C(n, N) choices of N scores, the i-th smallest of n is the smallest. For scores of 0 and 1 the
    estimate is that of ``all_right``.

    Args:
        draws: number of draws, n.
        size: number of queries, N, at most n.

    Returns:
        The weights of the 1st to the n-th smallest score, shape (n,); they add up to 1.

    Raises:
        UsageError: if there are more queries than draws.
    """
    if size > draws:
        raise UsageError(f"survive-{size} cannot be estimated from {draws} draws", todo=f"judge with {size} or more")
    larger = np.arange(draws - 1, -1, -1, dtype=np.float64)  # n - i
    enough = larger >= size - 1
    m = np.where(enough, larger, size - 1)
    logs = gammaln(m + 1) - gammaln(m - size + 2) - gammaln(size)
    logs -= gammaln(draws + 1) - gammaln(size + 1) - gammaln(draws - size + 1)
    weights = np.where(enough, np.exp(logs), 0.0)
    return np.asarray(weights / weights.sum())


def sizes_up_to(draws: int, sizes: Sequence[int] = CURVE) -> list[int]:
    """The numbers of queries for which ``draws`` draws suffice for a rate with an interval."""
    return [size for size in sizes if size < draws]
