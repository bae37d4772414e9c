"""Answers that choose among classes, as problems of one class each: one problem, or one for each label."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from variate.errors import InputError, UsageError
from variate.metrics.metric import Floats, Metric, Prepared, Weighted, name_of
from variate.metrics.responses import Responses
from variate.oracle.losses import bounded
from variate.tasks.task import name_of as task_name

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """Answers to one question with K choices, those to the 2 K made-up examples last.

    Attributes:
        labels: the right choice, shape (E,), with E = N + 2 K.
        answers: the choice of every answer, shape (G, E).
        probabilities: of every choice, shape (G, E, K); None for votes, and where none are needed.
        classes: number of choices, K; with two, 1 is the positive one.
        title: which label it is about, for messages; empty if there is only one problem.
    """

    labels: Whole
    answers: Whole
    probabilities: Floats | None
    classes: int
    title: str = ""

    @property
    def real(self) -> int:
        """The number of real examples, N."""
        return len(self.labels) - 2 * self.classes

    @property
    def positives(self) -> Sequence[int]:
        """The classes that are ranked against the rest: 1 of two classes, otherwise each."""
        return [1] if self.classes == 2 else range(self.classes)

    def chances(self) -> Floats:
        """The probabilities, (G, E, K). Raises ``UsageError`` if there are none."""
        if self.probabilities is None:
            raise UsageError("this problem has no probabilities", expected="problems(given, probabilities=True)")
        return self.probabilities


@dataclass(frozen=True)
class ClassMetric(Metric):
    """A metric of a choice among classes; over several labels, the mean of each label's."""

    def prepared(self, given: Responses) -> Prepared:
        """The metric, averaged over the labels where it is defined."""
        needed = self.__variate__["needs"] == "probabilities"
        if needed:
            check_probabilities(self, given)
        found = problems(given, probabilities=needed)
        functions = [self.function(problem) for problem in found]

        def of(weights: Floats) -> Floats:
            return mean_of_defined(np.stack([function(weights) for function in functions]))

        return Prepared(functions[0] if len(functions) == 1 else of, found[0].classes)

    @abstractmethod
    def function(self, problem: Problem) -> Weighted:
        """The metric of one problem, as a function of weights (G, E, b)."""


def check_probabilities(metric: Metric, given: Responses) -> None:
    """Check that the answers have probabilities. Raises ``UsageError``."""
    if given.voted:
        raise UsageError(
            f"{name_of(metric)} needs probabilities, and {given.deployment} votes",
            todo=f"use the rule single or mean-{given.deployment.size}",
        )


def problems(given: Responses, *, probabilities: bool = False) -> list[Problem]:
    """The problems of a task that chooses among classes, with made-up examples. Raises ``UsageError``."""
    outputs, name = given.outputs, task_name(given.task)
    if name in ("classes", "binary"):
        chances = bounded(outputs.double()).softmax(-1).numpy() if probabilities else None
        return [_problem(given.y.long().numpy(), outputs.argmax(-1).numpy(), chances, outputs.shape[-1])]
    if name == "labels":
        yes = outputs.double().sigmoid().numpy() if probabilities else None  # (G, N, L)
        answers, y = (outputs > 0).long().numpy(), given.y.long().numpy()
        pairs = [None] * y.shape[1] if yes is None else list(np.moveaxis(np.stack([1 - yes, yes], -1), 2, 0))
        return [_problem(y[:, j], answers[..., j], pairs[j], 2, f"label {j}") for j in range(y.shape[1])]
    raise UsageError(f"the answers of the task {name} are no choice among classes")


def _problem(y: Whole, answers: Whole, chances: Floats | None, classes: int, title: str = "") -> Problem:
    """A problem with its made-up examples."""
    every = np.arange(classes)
    labels = np.concatenate([y, every, every])
    made_up = np.concatenate([every, (every + 1) % classes])  # (2 K,): right, then wrong
    rows = np.broadcast_to(made_up, (len(answers), 2 * classes))
    if chances is not None:
        chances = np.concatenate([chances, _typical(y, chances, classes)], axis=1)
    return Problem(labels, np.concatenate([answers, rows], axis=1), chances, classes, title)


def _typical(y: Whole, chances: Floats, classes: int) -> Floats:
    """Probabilities of the made-up examples, (G, 2 K, K).

    An example that is answered right has the mean probabilities of its class, one that is answered wrong those of all
    other classes; certainty, of classes without examples.
    """
    inside = np.eye(classes)[y]  # (N, K)
    own = np.einsum("nk,gnj->gkj", inside, chances)
    others, counts = chances.sum(1)[:, None] - own, inside.sum(0)[:, None]
    right = np.where(counts > 0, own / np.maximum(counts, 1), np.eye(classes))
    rest = len(y) - counts
    wrong = np.where(rest > 0, others / np.maximum(rest, 1), np.roll(np.eye(classes), 1, axis=1))
    return np.concatenate([right, wrong], axis=1)


def mean_of_defined(values: Floats) -> Floats:
    """The mean over the first dimension of the values that are not NaN: (L, b) to (b,); NaN if all are."""
    defined = ~np.isnan(values)
    total: Floats = np.where(defined, values, 0.0).sum(0)
    out: Floats = np.full(values.shape[1:], np.nan)
    mean: Floats = np.divide(total, defined.sum(0), out=out, where=defined.any(0))
    return mean


def check_present(problem: Problem, metric: Metric) -> None:
    """Check that every class that is ranked has examples, and that the rest has. Raises ``InputError``."""
    real = problem.labels[: problem.real]
    for positive in problem.positives:
        count = int((real == positive).sum())
        if 0 < count < len(real):
            continue
        where = f" of {problem.title}" if problem.title else ""
        what = f"no example is of class {positive}" if count == 0 else f"every example is of class {positive}"
        raise InputError(
            f"{what}{where}: {name_of(metric)} ranks examples of a class above others, and is undefined",
            todo="evaluate examples of every class, or choose another metric",
        )


def statistic(rows: NDArray[np.generic], finish: Callable[[Floats], Floats]) -> Weighted:
    """A function of sums: rows of statistics (G, E, Q), and what their sums (b, Q) come to, (b,)."""
    flat = np.ascontiguousarray(np.asarray(rows, dtype=np.float64).reshape(-1, rows.shape[-1]).T)  # (Q, G E)

    def of(weights: Floats) -> Floats:
        return finish(np.asarray(flat @ weights.reshape(flat.shape[1], -1)).T)

    return of
