"""Per-example statistics: an error rate with an interval, and a verdict that may abstain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from variate.errors import UsageError
from variate.statistics.rates import Bits

Floats = NDArray[np.float64]
Verdict = Literal["right", "wrong", "abstain"]


@dataclass(frozen=True)
class ErrorRates:
    """Error rates of single draws, per example.

    Attributes:
        rate: share of wrong answers, shape (B,).
        low, high: Clopper-Pearson interval of each rate (Clopper & Pearson 1934), shape (B,).
        draws: number of answers per example, n.
    """

    rate: Floats
    low: Floats
    high: Floats
    draws: int


def error_rates(answers: Bits, *, level: float = 0.95) -> ErrorRates:
    """The error rate of every example, each with its own interval.

    A deterministic network always gives the same answer, so its rates and their intervals are 0 or 1.

    Args:
        answers: right or wrong, shape (n, B); n is 1 for a deterministic network.
        level: confidence of each single interval; about (1 - level) B of B intervals miss at most.
    """
    draws = len(answers)
    if draws == 1:
        wrong_answer = (~answers[0]).astype(np.float64)
        return ErrorRates(wrong_answer, wrong_answer, wrong_answer, draws)
    wrong = draws - answers.sum(0)  # (B,)
    tail = (1 - level) / 2
    low = np.where(wrong > 0, stats.beta.ppf(tail, np.maximum(wrong, 1), draws - wrong + 1), 0.0)
    high = np.where(wrong < draws, stats.beta.ppf(1 - tail, wrong + 1, np.maximum(draws - wrong, 1)), 1.0)
    return ErrorRates(wrong / draws, low, high, draws)


def verdicts(answers: Bits, *, level: float = 0.999, threshold: float = 0.5) -> list[Verdict]:
    """Whether the network is more often right than wrong on each example, or undecided with so few draws.

    The counterpart of a smoothed classifier's prediction, which abstains rather than guess (Cohen et al. 2019,
    arXiv:1902.02918, section 3.2.2): an example is decided if the interval of its error rate excludes the
    threshold.

    Args:
        answers: right or wrong, shape (n, B).
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
