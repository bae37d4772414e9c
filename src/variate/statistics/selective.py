"""Selective answers: the accuracy of a network that withholds the answers it is least certain of.

A curve of accuracy against coverage, the share of inputs that are answered, tries every threshold and chooses none. A
threshold to deploy comes from other examples than those it is judged on: ``threshold`` takes it from validation data,
``at_threshold`` says what it gives on the test split, clean or attacked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from variate.errors import UsageError
from variate.statistics.rates import Bits, Floats, clopper_pearson
from variate.statistics.resampling import resamples

Whole = NDArray[np.int64]
POINTS = 20  # of a curve


@dataclass(frozen=True)
class CoveragePoint:
    """The answers at least as certain as a threshold.

    Attributes:
        coverage: share of the inputs that are answered.
        right, examples: number of correct answers, and of answers.
        low, high: exact 95 % interval of the accuracy; 0 and 1 without answers.
    """

    coverage: float
    right: int
    examples: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """Share of correct answers; NaN without answers."""
        return self.right / self.examples if self.examples else float("nan")


@dataclass(frozen=True)
class Selective:
    """How accuracy rises as the least certain answers are withheld.

    Attributes:
        points: points of rising coverage; answers that are equally certain are given together.
        area: area under the risk-coverage curve (AURC): the mean error rate of the answers given, over the thresholds
            at each answer (Geifman & El-Yaniv 2017, arXiv:1705.08500).
        low, high: 95 % bootstrap interval of the area over examples, with expanded percentiles (Hesterberg 2015,
            arXiv:1411.5279). Without errors, ``high`` is the largest error rate that is compatible with that.
            Simulated coverage: 92 to 95 % for 50 to 1000 examples of calibrated networks.
        best: the area if all right answers were more certain than all wrong ones.
        errors: the error rate, which is the area of a certainty that tells nothing.
        examples: number of examples.
    """

    points: list[CoveragePoint]
    area: float
    low: float
    high: float
    best: float
    errors: float
    examples: int


def selective(certainty: Floats, right: Bits, *, seed: int = 0) -> Selective:
    """Accuracy against coverage.

    Args:
        certainty: certainty of each answer, shape (B,), high for those given first: confidence, or minus an entropy or
            a mutual information.
        right: whether each answer was correct, shape (B,).
        seed: seed of the resampling.

    Raises:
        UsageError: for no examples, other shapes, and scores other than right and wrong.
    """
    _check(certainty, right)
    total, order = len(right), np.argsort(-certainty, kind="stable")
    ranks, correct = -certainty[order], right[order]
    last = np.searchsorted(ranks, ranks, side="right") - 1
    area = float(_areas(np.ones((1, total)), correct, last)[0])
    low, high = _interval(area, correct, last, seed)
    hits = int(right.sum())
    perfect = np.sort(right)[::-1]
    return Selective(
        points=_points(correct, last),
        area=area,
        low=low,
        high=high,
        best=float(_areas(np.ones((1, total)), perfect, np.arange(total))[0]),
        errors=1 - hits / total,
        examples=total,
    )


def threshold(certainty: Floats, coverage: float) -> float:
    """The threshold that answers a share of validation examples: answers at least as certain are given.

    Args:
        certainty: certainty of the answers to validation examples, shape (B,).
        coverage: share of them to answer, above 0 up to 1; answers that are equally certain are given together.

    Raises:
        UsageError: for no examples, or a coverage outside of that range.
    """
    if not len(certainty):
        raise UsageError("there are no examples to choose a threshold on", expected="validation examples")
    if not 0 < coverage <= 1:
        raise UsageError(f"the coverage is {coverage!r}", expected="a share above 0 up to 1, such as 0.9")
    count = max(1, round(coverage * len(certainty)))
    return float(np.sort(np.asarray(certainty))[::-1][count - 1])


def at_threshold(certainty: Floats, right: Bits, least: float) -> CoveragePoint:
    """Coverage and accuracy at a threshold that was chosen on other examples.

    Args:
        certainty: certainty of each answer, shape (B,).
        right: whether each answer was correct, shape (B,).
        least: the threshold.

    Raises:
        UsageError: as for ``selective``.
    """
    _check(certainty, right)
    given = np.asarray(certainty) >= least
    return _point(int(right[given].sum()), int(given.sum()), len(right))


def _check(certainty: Floats, right: Bits) -> None:
    if right.dtype != np.bool_:
        raise UsageError("selective accuracy is of right and wrong answers", expected="bits, not scores")
    if certainty.shape != right.shape or right.ndim != 1 or not len(right):
        raise UsageError(
            f"there are certainties of shape {certainty.shape} and answers of shape {right.shape}",
            expected="one certainty for each answer, and at least one answer",
        )


def _areas(weights: Floats, correct: Bits, last: Whole) -> Floats:
    """The mean selective risk under weights (R, B): (R,).

    Args:
        weights: weights of the answers by falling certainty.
        correct: whether each answer is correct, shape (B,).
        last: place of the last answer that is as certain as each, shape (B,).
    """
    given, wrong = weights.cumsum(1), (weights * ~correct).cumsum(1)  # (R, B)
    risk = np.divide(wrong, given, out=wrong, where=given > 0)
    if (last != np.arange(len(last))).any():
        risk = risk[:, last]
    return np.asarray(np.einsum("rb,rb->r", weights, risk) / given[:, -1])


def _interval(area: float, correct: Bits, last: Whole, seed: int) -> tuple[float, float]:
    total = len(correct)
    if correct.all() or not correct.any():
        unseen = 1 - 0.025 ** (1 / total)
        return (0.0, unseen) if correct.all() else (1 - unseen, 1.0)
    areas = np.concatenate([_areas(n.astype(np.float64), correct, last) for (n,) in resamples((total,), seed)])
    ratio = special.stdtrit(total - 1, 0.975) / special.ndtri(0.975) * np.sqrt(total / (total - 1))
    low, high = (area + (float(end) - area) * float(ratio) for end in np.quantile(areas, [0.025, 0.975]))
    return max(min(low, area), 0.0), min(max(high, area), 1.0)


def _points(correct: Bits, last: Whole) -> list[CoveragePoint]:
    """Points at the thresholds next above shares of 1 / POINTS of the answers."""
    total, hits = len(correct), correct.cumsum()
    wanted = -(-np.arange(1, POINTS + 1) * total // POINTS)  # rounded up
    counts = dict.fromkeys(int(last[count - 1]) + 1 for count in wanted)
    return [_point(int(hits[count - 1]), count, total) for count in counts]


def _point(right: int, examples: int, total: int) -> CoveragePoint:
    low, high = clopper_pearson(right, examples) if examples else (0.0, 1.0)
    return CoveragePoint(examples / total, right, examples, low, high)
