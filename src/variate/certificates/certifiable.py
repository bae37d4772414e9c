"""Which tasks a certificate can be about: those whose score is the mean of parts that are right or wrong."""

from __future__ import annotations

from variate.errors import UsageError
from variate.tasks.classes import Classes
from variate.tasks.task import Task, name_of, task_of

INSTEAD = {
    "positions": "score the share of positions: positions(score_by=accuracy)",
    "regression": "count a number as right or wrong: leave out until",
}


def certifiable(task: str | Task) -> Task:
    """A task of which something can be proved.

    A certificate bounds the probability that a draw says what is right, of one class or of one part of an answer.

    Raises:
        UsageError: for a task whose answers have no such parts.
    """
    chosen = task_of(task)
    if not chosen.parted:
        raise UsageError(
            f"nothing is proved of the task {name_of(chosen)}: its score is no mean of parts that are right or wrong",
            expected="classes, binary, labels, positions(score_by=accuracy), or regression without until",
            todo=INSTEAD.get(name_of(chosen), "measure instead: variate evaluate with its attacks"),
        )
    return chosen


def check_abstaining(task: Task) -> None:
    """Raise ``UsageError`` for a task of which right or abstain has no proof: whose answer is not one class."""
    if not isinstance(task, Classes):
        raise UsageError(f"right or abstain is not for the task {name_of(task)}", expected="the task classes or binary")
