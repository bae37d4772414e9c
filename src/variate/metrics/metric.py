"""A metric: a number that a weighted set of answers has.

An answer belongs to one example and to one draw (or group of draws), so the answers are a matrix (G, N). A metric turns
them into a function of *weights* (G, E, b), one value for each of b sets of weights: with all weights 1 it is the
metric of all answers, as if each query were answered by its own draw; with the weights of one draw it is the metric of
that draw; with the weights of a resample it is one of the bootstrap's values. Most functions only sum rows of
sufficient statistics, such as the counts of each class, so that a thousand resamples are a matrix product.

Of the E examples the first N are real. The others are *made up*, for the interval only (``variate.metrics.bootstrap``):
one for each class that is answered right, then one for each class that is answered wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from variate import options, registry
from variate.errors import UsageError, unknown_name
from variate.metrics.responses import Responses

Floats = NDArray[np.float64]
Weighted = Callable[[Floats], Floats]  # weights (G, E, b) of answers to values (b,)


@dataclass(frozen=True)
class Prepared:
    """A metric of given answers.

    Attributes:
        of: its value under weights (G, N + 2 made_up, b), shape (b,); NaN where it is undefined.
        made_up: number of made-up examples that are answered right, and of those that are answered wrong.
    """

    of: Weighted
    made_up: int = 0


@dataclass(frozen=True)
class Metric(ABC):
    """One metric. A metric is a frozen dataclass whose fields are its options.

    Attributes:
        bounds: its lowest and its highest value.
        biased: whether chance moves it to one side, so that its interval is reflected about the estimate.
    """

    __variate__: ClassVar[dict[str, Any]]  # the facts given to its decorator
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    biased: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """Its name in records and reports, the same for every network."""
        return written(self)

    @property
    def because(self) -> str:
        """What was chosen for this network, for reports; empty if nothing was."""
        return ""

    @abstractmethod
    def prepared(self, given: Responses) -> Prepared:
        """The metric of these answers, as a function of weights. Raises ``InputError`` where it is undefined."""


@dataclass(frozen=True)
class Mean(Metric):
    """A metric that is the mean of one number per answer.

    Attributes:
        all_or_nothing: whether an answer mostly has the best value or the worst; then differences of two networks have
            made-up examples, on which they differ most.
    """

    all_or_nothing: ClassVar[bool] = False

    @abstractmethod
    def shares(self, given: Responses) -> Floats:
        """The number of each answer as a share of its largest value, in [0, 1], shape (G, N)."""

    def largest(self, given: Responses) -> float:
        """The largest value that an answer can have."""
        return 1.0

    def prepared(self, given: Responses) -> Prepared:
        """The weighted mean."""
        shares = self.shares(given)
        if self.all_or_nothing:
            best = float(self.__variate__["better"] == "high")
            extremes = np.broadcast_to([best, 1 - best], (len(shares), 2))  # answered right, answered wrong
            shares = np.concatenate([shares, extremes], axis=1)
        return Prepared(weighted_mean(shares * self.largest(given)), int(self.all_or_nothing))


def weighted_mean(values: Floats) -> Weighted:
    """The mean of values (G, N) under weights."""
    flat = values.reshape(-1)

    def of(weights: Floats) -> Floats:
        columns = weights.reshape(len(flat), -1)  # (G N, b)
        return np.asarray(flat @ columns / columns.sum(0))

    return of


def metric_of(metric: str | Metric) -> Metric:
    """The metric of a name with options, such as ``f-beta(beta=2)``. Raises ``UsageError``."""
    if isinstance(metric, Metric):
        return metric
    name, _ = options.parse(metric, "a metric")
    kind = registry.get("metrics", name).load()
    chosen = options.parse(metric, "a metric", kind)[1]
    known = [field.name for field in fields(kind)]
    for option in chosen:
        if option not in known:
            raise unknown_name(f"option of {name}", option, known)
    built: Metric = kind(**chosen)
    return built


def name_of(metric: Metric) -> str:
    """The registered name of a metric."""
    return type(metric).__module__.rpartition(".")[2].replace("_", "-")


def written(metric: Metric) -> str:
    """The inverse of ``metric_of``: the name with the options that differ from their defaults."""
    values = [(field.name, getattr(metric, field.name), field.default) for field in fields(metric)]
    return options.written(name_of(metric), {name: value for name, value, default in values if value != default})


def check_between(metric: Metric, option: str, low: float, high: float) -> None:
    """Check that an option is a number strictly between two. Raises ``UsageError``."""
    value = getattr(metric, option)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        ends = f"between {low:g} and {high:g}" if np.isfinite(high) else f"above {low:g}"
        raise UsageError(f"{option} of {name_of(metric)} is {value!r}", expected=f"a number {ends}")


def check_truth(metric: Metric, option: str) -> None:
    """Check that an option is true or false. Raises ``UsageError``."""
    if not isinstance(getattr(metric, option), bool):
        raise UsageError(f"{option} of {name_of(metric)} is {getattr(metric, option)!r}", expected="true or false")
