"""What wrong answers cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from variate.errors import InputError, UsageError
from variate.metrics.metric import Floats, Mean
from variate.metrics.parts.problems import problems
from variate.metrics.responses import Responses
from variate.registry import metric

EQUAL, LINEAR = "equal", "linear"


@metric(
    tasks=("classes", "binary"),
    better="low",
    needs="answers",
    cite="Maier-Hein et al. 2024, arXiv:2206.01653",
)
@dataclass(frozen=True)
class ExpectedCost(Mean):
    """The mean cost of an answer.

    Attributes:
        costs: ``equal``, every error costs 1; ``linear``, the distance between the numbers of label and answer, for
            classes in an order; or a table of costs, a row for each label and a column for each answer, as in
            ``'0 1; 5 0'``: to answer 0 where 1 is right costs 5.
    """

    all_or_nothing: ClassVar[bool] = True

    costs: str = EQUAL

    def __post_init__(self) -> None:
        """Check the options."""
        if self.costs not in (EQUAL, LINEAR):
            parsed(self.costs)

    def shares(self, given: Responses) -> Floats:
        """The cost of each answer as a share of the highest."""
        (problem,) = problems(given)
        table = self.table(problem.classes)
        cost = table[problem.labels, problem.answers][:, : len(given.y)]
        return np.asarray(cost / table.max())

    def largest(self, given: Responses) -> float:
        """The highest cost."""
        return float(self.table(given.outputs.shape[-1]).max())

    def table(self, classes: int) -> Floats:
        """The costs, shape (K, K). Raises ``InputError`` if they are of another number of classes."""
        each = np.arange(classes, dtype=np.float64)
        if self.costs == EQUAL:
            return 1 - np.eye(classes)
        if self.costs == LINEAR:
            return np.asarray(np.abs(np.subtract.outer(each, each)))
        table = parsed(self.costs)
        if len(table) != classes:
            raise InputError(
                f"the costs are of {len(table)} classes, and the network has {classes}",
                expected=f"{classes} rows of {classes} costs",
            )
        return table


def parsed(text: str) -> Floats:
    """A table of costs from text. Raises ``UsageError``."""
    expected = "equal, linear, or rows of costs of 0 or more such as '0 1; 5 0', a row for each label"
    try:
        rows = [[float(word) for word in row.replace(",", " ").split()] for row in str(text).strip("; ").split(";")]
    except ValueError:
        raise UsageError(f"costs of expected-cost is {text!r}", expected=expected) from None
    return checked_costs(rows, expected)


def checked_costs(rows: object, expected: str) -> Floats:
    """A square table of costs. Raises ``UsageError``."""
    try:
        table = np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError):
        raise UsageError("the rows of costs differ in length, or are not numbers", expected=expected) from None
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
        raise UsageError(f"the costs have shape {table.shape}", expected=expected)
    if not np.isfinite(table).all() or table.min() < 0 or table.max() <= 0:
        raise UsageError("costs are 0 or more, and finite, and some are above 0", expected=expected)
    return table


def as_text(costs: object) -> str:
    """A table of costs as the option ``costs``. Raises ``UsageError``."""
    if isinstance(costs, str):
        return costs if costs in (EQUAL, LINEAR) else as_text(parsed(costs))
    table = checked_costs(costs, "a row of costs for each label, a column for each answer")
    return "; ".join(" ".join(f"{cost:g}" for cost in row) for row in table)
