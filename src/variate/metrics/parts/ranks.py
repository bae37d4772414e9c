"""Examples of one class ranked against the rest by a probability, under weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from variate.metrics.metric import Floats, Metric, Weighted
from variate.metrics.parts.problems import Problem, Whole, check_present, mean_of_defined

Finish = Callable[[Floats, Floats], Floats]  # true and false positives at every threshold, (T, b) each, to (b,)
Hits = NDArray[np.bool_]
STEPS = 1024  # thresholds of resamples: where there are more, neighbors in rank share one


def ranked(problem: Problem, metric: Metric, finish: Finish) -> Weighted:
    """A function of the true and false positives at every threshold, averaged over the classes.

    Of more than ``STEPS`` different probabilities, what weights change is computed with so many thresholds; equal
    weights give the exact value.

    Args:
        problem: answers with probabilities.
        metric: for messages.
        finish: from the weights of true and of false positives at each threshold, of shapes (T, b) and falling
            thresholds, to values (b,); neither is 0 at the last threshold.

    Raises:
        InputError: if a class has no examples, or has all of them.
    """
    check_present(problem, metric)
    functions = [_function(problem, positive, finish) for positive in problem.positives]

    def of(weights: Floats) -> Floats:
        return mean_of_defined(np.stack([function(weights) for function in functions]))

    return of


def _function(problem: Problem, positive: int, finish: Finish) -> Weighted:
    scores = problem.chances()[..., positive]  # (G, E)
    return by_threshold(scores, problem.labels == positive, finish, real=problem.real, both=True)


def by_threshold(scores: Floats, hit: Hits, finish: Finish, *, real: int, both: bool) -> Weighted:
    """A function of the weights of hits and of other answers at every threshold of a score, from the highest.

    Args:
        scores: score of every answer, shape (G, E); equal ones share a threshold.
        hit: which answers are hits, of a shape that broadcasts to (G, E).
        finish: as for ``ranked``.
        real: number of real examples, which are the first.
        both: whether the value is undefined where there are no hits or nothing else.
    """
    hit = np.broadcast_to(hit, scores.shape).reshape(-1)
    rank = np.unique(-scores, return_inverse=True)[1].reshape(-1)  # by falling scores; equal ones share a rank
    exact = _of_ranks(rank, hit, finish, both=both)
    if rank.max() < STEPS:
        return exact
    before = np.concatenate([[0], np.bincount(rank).cumsum()[:-1]])  # answers of lower ranks
    steps = np.unique(before[rank] * STEPS // rank.size, return_inverse=True)[1].reshape(-1)
    coarse = _of_ranks(steps, hit, finish, both=both)
    weights_of_real = np.zeros((*scores.shape, 1))
    weights_of_real[:, :real] = 1
    offset = exact(weights_of_real) - coarse(weights_of_real)
    return lambda weights: coarse(weights) + offset


def _of_ranks(rank: Whole, hit: Hits, finish: Finish, *, both: bool) -> Weighted:
    from scipy import sparse

    steps, answers = int(rank.max()) + 1, len(rank)
    place = rank + np.where(hit, 0, steps)
    counting = sparse.csr_matrix((np.ones(answers), (place, np.arange(answers))), shape=(2 * steps, answers))

    def of(weights: Floats) -> Floats:
        sums: Floats = counting @ weights.reshape(answers, -1)  # (2 T, b)
        true, false = sums[:steps].cumsum(0), sums[steps:].cumsum(0)
        defined = (true[-1] > 0) & (false[-1] > 0) if both else true[-1] + false[-1] > 0
        values: Floats = np.full(sums.shape[1], np.nan)
        values[defined] = finish(true[:, defined], false[:, defined])
        return values

    return of
