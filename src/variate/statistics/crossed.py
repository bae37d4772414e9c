"""The mean of a matrix of scores (draws x examples) and its variance components: every draw answered every example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError
from variate.statistics.survival import all_right, least_weights

Floats = NDArray[np.float64]
ROUNDING = 1e-6  # of 32-bit floats
Scores = NDArray[np.bool_] | NDArray[np.float64]  # of answers: right or wrong, or a number in [0, 1]


@dataclass(frozen=True)
class Crossed:
    """Variance components of a mean over a crossed design: every draw answered every example.

    Attributes:
        per_example: value at each example, shape (B,).
        per_draw: value at each draw (jackknife pseudo-values, whose mean is the rate), shape (n,).
        residual: variance of the mean due to the interaction of draws and examples; the variances over examples and
            over draws both contain it.
        partial: whether an answer can be right in part: the values come from scores other than 0 and 1.
    """

    per_example: Floats
    per_draw: Floats
    residual: float
    partial: bool = False

    @cached_property
    def rate(self) -> float:
        """The mean."""
        return float(self.per_example.mean())

    @cached_property
    def carriers(self) -> float:
        """The effective number of examples that carry the rate, or its distance from 1: (sum v)^2 / sum v^2."""
        values = self.per_example if self.rate <= 0.5 else 1 - self.per_example
        if not values.any():
            return 0.0
        shares = values / values.max()  # squares of tiny rates could underflow
        return float(shares.sum() ** 2 / np.square(shares).sum())

    @cached_property
    def by_example(self) -> float:
        """The variance of the mean due to examples, residual included."""
        return _variance_of_mean(self.per_example)

    @cached_property
    def by_draw(self) -> float:
        """The variance of the mean due to draws, residual included."""
        return _variance_of_mean(self.per_draw)

    @cached_property
    def variance(self) -> float:
        """The variance of the mean."""
        return max(self.by_example + self.by_draw - self.residual, self.by_example, self.by_draw)

    @cached_property
    def skewness(self) -> float:
        """The skewness of the mean."""
        third = _third_cumulant_of_mean(self.per_example) + _third_cumulant_of_mean(self.per_draw)
        return float(third / self.variance**1.5)

    @cached_property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of the variance."""
        examples, draws = self.by_example / self.variance, self.by_draw / self.variance  # squares could underflow
        return 1 / (examples**2 / max(len(self.per_example) - 1, 1) + draws**2 / max(len(self.per_draw) - 1, 1))


def crossed(answers: Scores, sizes: Sequence[int] = (1,)) -> list[Crossed]:
    """Unbiased estimate of the expected minimum of N scores for each N; for bits, P(N answers are all right).

    With c right answers of n draws that is C(c, N) / C(n, N); with scores s_(1) <= ... <= s_(n), the sum of
    s_(i) C(n - i, N - 1) / C(n, N).

    The draws' component is the jackknife's: the estimate without each draw in turn. For N = 1 it is each draw's own
    mean score. For N near n the jackknife overestimates the variance (Efron & Stein 1981).

    Args:
        answers: whether each answer is right, or its score in [0, 1], shape (n, B).
        sizes: values of N from 1 to n - 1 (or 1 if n is 1).

    Raises:
        UsageError: if N is n or more, so that no draw can be left out, or if a score is not in [0, 1].
    """
    n = len(answers)
    for size in sizes:
        if size >= max(n, 2):
            todo = f"judge with more than {size} draws"
            raise UsageError(f"survive-{size} cannot be estimated from {n} draws", todo=todo)
    return _of_bits(answers, sizes) if answers.dtype.kind != "f" else _of_scores(checked(answers), sizes)


def checked(scores: Scores) -> Floats:
    """Scores as 64-bit floats; what rounding carried beyond 0 or 1 is cut. Raises ``UsageError`` for other numbers."""
    floats = scores.astype(np.float64)
    inside = (floats >= -ROUNDING) & (floats <= 1 + ROUNDING)  # NaN is not
    if not inside.all():
        outside = ~inside
        raise UsageError(
            f"{int(outside.sum())} of {floats.size} scores are not in [0, 1], such as {floats[outside][0]:g}",
            expected="right or wrong for each answer, or its score from 0 to 1",
        )
    return floats.clip(0.0, 1.0)


def _of_bits(answers: Scores, sizes: Sequence[int]) -> list[Crossed]:
    matrix = answers.astype(np.float64)  # (n, B)
    n, examples = matrix.shape
    right = matrix.sum(0)  # (B,)
    counts = np.array(sizes, dtype=np.float64)[:, None]  # (N, 1)
    per_example = (
        np.stack([all_right(right, n, size) for size in sizes]) if sizes else np.zeros((0, examples))
    )  # (N, B)
    # pseudo-value of a correct draw minus that of a wrong draw: (n - 1) C(c - 1, N - 1) / C(n - 1, N)
    gap = per_example / np.maximum(right, 1) * counts * n * (n - 1) / np.maximum(n - counts, 1)  # (N, B)
    gap = np.where(counts == 1, 1.0, gap)  # also where no draw was correct
    offset = (matrix @ gap.T - right / n @ gap.T) / examples  # (n, N): each draw's deviation from the rate
    within = (np.square(gap) * right * (1 - right / n)).sum(1) - examples * np.square(offset).sum(0)  # (N,)
    residual = np.maximum(within, 0) / max((n - 1) * (examples - 1), 1) / (n * examples)
    return [
        Crossed(values, values.mean() + deviation, float(rest) if min(n, examples) > 1 else 0.0)
        for values, deviation, rest in zip(per_example, offset.T, residual, strict=True)
    ]


def _of_scores(scores: Floats, sizes: Sequence[int]) -> list[Crossed]:
    """The estimate and its pseudo-values are those of the bits "score at least t", summed over steps of t.

    A minimum is at least t where all N scores are. At the step from the score before to the i-th smallest of an
    example, c = n - i + 1 draws are right, and the gap of the bits is n (n - 1) / (n - N) times the weight of s_(i).
    """
    n, examples = scores.shape
    columns = np.ascontiguousarray(scores.T)  # (B, n)
    partial = bool(((columns > 0) & (columns < 1)).any())
    order = np.broadcast_to(np.arange(n), columns.shape)
    if any(size > 1 for size in sizes):  # for N = 1 all weights are the same, and their order does not matter
        order = columns.argsort(1, kind="stable")
        columns = np.take_along_axis(columns, order, 1)
    steps = np.diff(columns, axis=1, prepend=columns[:, :1])  # (B, n)
    found = []
    for size in sizes:
        weights = least_weights(n, size)  # (n,)
        gaps = np.cumsum(steps * (weights * (n * (n - 1) / max(n - size, 1))), axis=1)  # (B, n)
        gaps -= gaps.mean(1, keepdims=True)  # pseudo-values minus their mean, the estimate
        offset = np.bincount(order.ravel(), gaps.ravel(), n) / examples  # (n,): each draw's deviation from the rate
        within = float(np.square(gaps).sum()) - examples * float(np.square(offset).sum())
        residual = max(within, 0.0) / max((n - 1) * (examples - 1), 1) / (n * examples)
        at_least = weights[::-1].cumsum()[::-1]  # C(n - i + 1, N) / C(n, N)
        values = np.minimum(columns[:, 0] + steps @ at_least, 1.0)  # (B,): exact where all scores are equal
        found.append(Crossed(values, values.mean() + offset, residual if min(n, examples) > 1 else 0.0, partial))
    return found


def crossed_counts(right: Floats, by_draw: Floats) -> Crossed:
    """``crossed`` of single draws from counts alone.

    Args:
        right: number of right answers to every example, shape (B,).
        by_draw: number of right answers of every draw, shape (n,).
    """
    n, examples = len(by_draw), len(right)
    per_draw = by_draw / examples
    within = (right * (1 - right / n)).sum() - examples * np.square(per_draw - per_draw.mean()).sum()
    residual = max(float(within), 0.0) / max((n - 1) * (examples - 1), 1) / (n * examples)
    return Crossed(right / n, per_draw, residual if min(n, examples) > 1 else 0.0)


def _variance_of_mean(values: Floats) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0


def _third_cumulant_of_mean(values: Floats) -> float:
    n = len(values)
    return float(((values - values.mean()) ** 3).sum()) / ((n - 1) * (n - 2) * n) if n > 2 else 0.0
