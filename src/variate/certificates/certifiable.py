"""Which tasks a certificate can be about: those whose answer to an input is one class."""

from __future__ import annotations

from torch import nn

from variate.errors import UsageError
from variate.tasks.classes import Classes
from variate.tasks.task import Task, name_of, task_of

INSTEAD = {"labels": "certify each label by itself: a network that returns its logit alone, with task='binary'"}


def certifiable(network: nn.Module, task: str | Task) -> nn.Module:
    """The network with one row of logits per example, for a task that has classes.

    A certificate bounds the probability of the class that most draws answer. Several labels, a class at every position
    and a sequence have as many classes at once; a number has none.

    Raises:
        UsageError: for a task whose answers nothing is proved of.
    """
    chosen = task_of(task)
    if not isinstance(chosen, Classes):
        raise UsageError(
            f"nothing is proved of the task {name_of(chosen)}: a certificate bounds the probability of one class",
            expected="the task classes or binary",
            todo=INSTEAD.get(name_of(chosen), "measure instead: variate evaluate with its attacks"),
        )
    return chosen.answers(network)
