"""Per-example statistics: an error rate with an interval, and a verdict that may abstain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from variate.errors import UsageError
from variate.statistics.crossed import Floats, Scores, checked

Verdict = Literal["right", "wrong", "abstain"]


@dataclass(frozen=True)
class ErrorRates:
    """Error rates of single draws, per example.

    Attributes:
        rate: share of wrong answers, or 1 minus the mean score, shape (B,).
        low, high: Clopper-Pearson interval of each rate (Clopper & Pearson 1934), shape (B,).
        draws: number of answers per example, n.
    """

    rate: Floats
    low: Floats
    high: Floats
    draws: int


def error_rates(answers: Scores, *, level: float = 0.95) -> ErrorRates:
    """The error rate of every example, each with its own interval.

    A deterministic network always gives the same answer, so its rates and their intervals are 0 or 1, or what its
    scores leave to 1. For scores the binomial interval at their sum is wider than needed: no score in [0, 1] varies
    more than right and wrong answers of the same mean.

    Args:
        answers: right or wrong, or scores in [0, 1], shape (n, B); n is 1 for a deterministic network.
        level: confidence of each single interval; about (1 - level) B of B intervals miss at most.
    """
    draws, scores = len(answers), checked(answers)
    if draws == 1:
        lost = 1 - scores[0]
        return ErrorRates(lost, lost, lost, draws)
    wrong = draws - scores.sum(0)  # (B,)
    tail = (1 - level) / 2
    low = np.where(wrong > 0, stats.beta.ppf(tail, np.where(wrong > 0, wrong, 1), draws - wrong + 1), 0.0)
    left = np.where(wrong < draws, draws - wrong, 1)
    high = np.where(wrong < draws, stats.beta.ppf(1 - tail, wrong + 1, left), 1.0)
    return ErrorRates(wrong / draws, low, high, draws)


def verdicts(answers: Scores, *, level: float = 0.999, threshold: float = 0.5) -> list[Verdict]:
    """Whether the network is more often right than wrong on each example, or undecided with so few draws.

    The counterpart of a smoothed classifier's prediction, which abstains rather than guess (Cohen et al. 2019,
    arXiv:1902.02918, section 3.2.2): an example is decided if the interval of its error rate excludes the
    threshold.

    Args:
        answers: right or wrong, or scores in [0, 1], shape (n, B).
        level: confidence of each verdict, in (0.5, 1).
        threshold: the error rate that separates right from wrong, in (0, 1).

    Raises:
        UsageError: if ``level`` or ``threshold`` is out of range.
    """
    if not 0.5 < level < 1 or not 0 < threshold < 1:
        raise UsageError(
            f"there is no verdict at level {level} and threshold {threshold}",
            expected="a level between 0.5 and 1, and a threshold between 0 and 1",
        )
    rates = error_rates(answers, level=level)
    return [
        "right" if high < threshold else "wrong" if low > threshold else "abstain"
        for low, high in zip(rates.low, rates.high, strict=True)
    ]
