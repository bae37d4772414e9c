"""The word for what rates are of, by the task of a claim: accuracy where answers are right or wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from variate.errors import UsageError
from variate.options import parse


@dataclass(frozen=True)
class Measure:
    """What a rate measures.

    Attributes:
        noun: for sentences: ``the accuracy under attack``.
        column: what a number of percent is, for the heads of tables: ``correct, %``.
    """

    noun: str
    column: str


ACCURACY = Measure("accuracy", "correct")
SCORE = Measure("mean score", "score")
POSITIONS = Measure("share of correct positions", "positions correct")
BY_TASK = {
    "classes": ACCURACY,
    "binary": ACCURACY,
    "labels": Measure("share of correct labels", "labels correct"),
    "positions": Measure("mean IoU", "mean IoU"),
    "regression": Measure("share within tolerance", "within tolerance"),
    "transcript": Measure("1 - CER", "1 - CER"),
}


def measure_of(tasks: Iterable[str]) -> Measure:
    """The measure of claims with these tasks, as they are written in records.

    Args:
        tasks: ``Claim.task`` of each. Of several measures, and of a task that is not one of Variate's, a score is all
            that is known; of none, accuracy.
    """
    measures = {_measure(task) for task in set(tasks)} or {ACCURACY}
    return measures.pop() if len(measures) == 1 else SCORE


def _measure(task: str) -> Measure:
    try:
        name, options = parse(task, "a task")
    except UsageError:
        return SCORE
    match name:
        case "labels" if options.get("exact"):
            return ACCURACY
        case "positions" if options.get("score_by", "iou") != "iou":
            return POSITIONS
        case "regression" if options.get("until", options.get("tolerance")) != options.get("tolerance"):
            return SCORE  # it falls with the error
    return BY_TASK.get(name, SCORE)
