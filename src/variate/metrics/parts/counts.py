"""How often each class is the label, is answered, and is answered rightly, under weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from variate.metrics.metric import Floats, Weighted
from variate.metrics.parts.problems import Problem


@dataclass(frozen=True)
class Counts:
    """Weighted counts of each class, each of shape (b, K).

    Attributes:
        right: answers of the class that are right.
        answered: answers of the class.
        labeled: answers to examples of the class.
    """

    right: Floats
    answered: Floats
    labeled: Floats


def counted(problem: Problem, finish: Callable[[Counts], Floats]) -> Weighted:
    """A function of the counts of a problem, as a function of weights."""
    from scipy import sparse

    draws, examples = problem.answers.shape
    classes = problem.classes
    answers, labels = problem.answers.reshape(-1), np.tile(problem.labels, draws)
    right = answers == labels
    rows = np.arange(draws * examples)
    row = np.concatenate([rows[right], rows, rows])
    column = np.concatenate([answers[right], classes + answers, 2 * classes + labels])
    ones = np.ones(len(row))
    counting = sparse.csr_matrix((ones, (column, row)), shape=(3 * classes, draws * examples))

    def of(weights: Floats) -> Floats:
        sums: Floats = (counting @ weights.reshape(draws * examples, -1)).T  # (b, 3 K)
        return finish(Counts(sums[:, :classes], sums[:, classes : 2 * classes], sums[:, 2 * classes :]))

    return of


def ratio(above: Floats, below: Floats, otherwise: float = np.nan) -> Floats:
    """The quotient; ``otherwise`` where the divisor is 0."""
    out: Floats = np.full(np.broadcast(above, below).shape, otherwise)
    return np.divide(above, below, out=out, where=below > 0)
