"""How much a curve of accuracies, measured on the same examples at every point, still rises at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from variate.statistics.crossed import Scores

LAST = 0.25  # part of the curve that is looked at


@dataclass(frozen=True)
class Rise:
    """The rise of the line fitted to the end of a curve.

    Attributes:
        value: rise of the accuracy over the last quarter of the epochs, in [-1, 1].
        error: its standard error: over examples, or over epochs where that is larger.
        differing: number of examples that are right at some of these epochs and wrong at others, or whose scores
            differ.
    """

    value: float
    error: float
    differing: int


def rise_at_end(epochs: Sequence[int], right: Scores) -> Rise | None:
    """The rise of a curve over its last quarter, by least squares; None if one point or none lies there.

    The line is fitted to the points of the last quarter and the last one before it. The examples are the same at every
    point, so each has a slope of its own, and the error over examples is that of their mean. Epochs scatter round the
    line by more than that if training itself fluctuates.

    Args:
        epochs: epochs of the points, increasing, counted from 1.
        right: whether each example was answered correctly, or its score in [0, 1], shape (T, B).
    """
    if len(epochs) < 2:
        return None
    quarter = LAST * epochs[-1]
    first = max([index for index, epoch in enumerate(epochs) if epoch <= epochs[-1] - quarter], default=0)
    first = min(first, len(epochs) - 2)
    used, answers = np.asarray(epochs[first:], dtype=np.float64), right[first:].astype(np.float64)  # (P,), (P, B)
    centered = used - used.mean()
    spread = float(np.square(centered).sum())
    by_example = quarter * (centered / spread) @ answers  # (B,): rise of each example
    value, count = float(by_example.mean()), len(by_example)
    over_examples = float(by_example.std(ddof=1)) / count**0.5 if count > 1 else 1.0
    curve = answers.mean(1)
    residuals = curve - curve.mean() - value / quarter * centered
    freedom = len(used) - 2
    over_epochs = quarter * (float(np.square(residuals).sum()) / freedom / spread) ** 0.5 if freedom else 0.0
    return Rise(value, max(over_examples, over_epochs), int((answers.max(0) > answers.min(0)).sum()))
