"""Right, wrong, or no answer at all: the rates of a deployment that abstains where it cannot be sure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from variate.errors import UsageError
from variate.options import exact
from variate.statistics.crossed import crossed
from variate.statistics.rates import Rate, interval

ABSTAINS = -1  # the label of no answer
CERTIFIED = "certified-"  # the deployment that answers only where its certificate reaches a radius


@dataclass(frozen=True)
class Outcomes:
    """How often a deployment is right, wrong, and gives no answer; the three rates add up to 1.

    Attributes:
        right: rate of right answers.
        wrong: rate of wrong answers: accepted and wrong.
        abstained: rate of no answer.
    """

    right: Rate
    wrong: Rate
    abstained: Rate


def certified_radius(text: str) -> str | None:
    """The radius of the deployment ``certified-R`` as it is written; None for any other deployment.

    Raises:
        UsageError: for a radius that is not a number from 0.
    """
    if not text.startswith(CERTIFIED):
        return None
    size = text.removeprefix(CERTIFIED)
    try:
        number = exact(size)
    except ValueError:
        number = None
    if number is None or number < 0:
        raise UsageError(f"the deployment {text[:80]!r} has no radius", expected="a number from 0: certified-0.5")
    return size


def outcomes_of(answers: NDArray[np.int64], labels: NDArray[np.int64], *, level: float = 0.95) -> Outcomes:
    """The three rates with their intervals, over examples and answers.

    Args:
        answers: the answers, -1 where there is none, shape (G, B): G answers from draws of their own, by B examples.
        labels: true labels, shape (B,).
        level: confidence level of each interval.
    """
    right, abstained = answers == labels, answers == ABSTAINS
    outcomes = (right, ~right & ~abstained, abstained)
    return Outcomes(*(interval(crossed(bits)[0], level=level) for bits in outcomes))
