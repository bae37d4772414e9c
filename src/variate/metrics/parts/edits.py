"""Sequences that are answered, beside the right ones: how much of them has to be edited."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from variate.errors import InputError, UsageError
from variate.metrics.metric import Floats, Metric, Prepared, name_of
from variate.metrics.parts.problems import statistic
from variate.metrics.responses import Responses
from variate.tasks.transcript import NONE, Transcript

Sequences = Sequence[Sequence[Hashable]]


def transcripts(given: Responses) -> tuple[list[list[int]], list[list[list[int]]]]:
    """The symbols of the labels and of every draw's answers. Raises ``UsageError`` for another task."""
    if not isinstance(given.task, Transcript):
        raise UsageError("error rates of sequences measure the task transcript")
    labels = [[symbol for symbol in row if symbol != NONE] for row in given.y.tolist()]
    return labels, [given.task.decoded(row) for row in given.outputs]


def edits_of(references: Sequences, answers: Sequence[Sequences]) -> Floats:
    """The edits that every answer needs, and the length of its reference: shape (G, N, 2).

    Args:
        references: the right sequences, N.
        answers: the sequences of G draws, N each.
    """
    from rapidfuzz.distance import Levenshtein

    lengths = np.array([len(reference) for reference in references], dtype=np.float64)
    rows = [
        [Levenshtein.distance(reference, answer) for reference, answer in zip(references, row, strict=True)]
        for row in answers
    ]
    edits = np.array(rows, dtype=np.float64)
    return np.stack([edits, np.broadcast_to(lengths, edits.shape)], -1)


def error_rate(metric: Metric, references: Sequences, answers: Sequence[Sequences]) -> Prepared:
    """All edits divided by the length of all references. Raises ``InputError`` if every reference is empty."""
    rows = edits_of(references, answers)
    if not rows[..., 1].any():
        raise InputError(f"the labels are empty: {name_of(metric)} is undefined", todo="correct its options")
    return Prepared(statistic(rows, lambda sums: np.asarray(sums[:, 0] / sums[:, 1])))
