"""Answers that are numbers, beside the right ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from variate.errors import InputError
from variate.metrics.metric import Floats, Metric, Weighted, name_of
from variate.metrics.parts.problems import statistic
from variate.metrics.responses import Responses


def errors(given: Responses) -> tuple[Floats, Floats]:
    """The error of every number that is answered, (G, N, Q), and the right numbers, (N, Q)."""
    right = given.y.double().reshape(len(given.y), -1).numpy()
    return given.outputs.double().numpy() - right, right


def finite_errors(metric: Metric, given: Responses) -> tuple[Floats, Floats]:
    """``errors``, of answers that are all finite. Raises ``InputError``."""
    found, right = errors(given)
    infinite = ~np.isfinite(found)
    if infinite.any():
        raise InputError(
            f"{int(infinite.sum())} of {infinite.size} answers are infinite: {name_of(metric)} would be as well",
            todo="within-tolerance counts them as wrong",
        )
    return found, right


def mean_of_numbers(rows: Floats, finish: Callable[[Floats], Floats]) -> Weighted:
    """The mean over the Q numbers of a function of sums: rows (G, E, Q, S), and what sums (..., S) come to."""
    numbers, sums = rows.shape[2:]
    flat = rows.reshape(*rows.shape[:2], numbers * sums)
    return statistic(flat, lambda totals: np.asarray(finish(totals.reshape(-1, numbers, sums)).mean(1)))
