"""Metrics of given outputs, and of one network minus another, each with an interval over examples and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from variate import registry
from variate.errors import InputError, UsageError
from variate.metrics.bootstrap import difference, resampled
from variate.metrics.choose import AUTO, Chosen, chosen, wishes_of
from variate.metrics.metric import Mean, Metric, Prepared, metric_of, name_of, written
from variate.metrics.responses import Responses, responses
from variate.statistics.rates import Deployment, rate_of
from variate.tasks.classes import Classes
from variate.tasks.task import Task, task_of
from variate.tasks.task import name_of as task_name

EACH = Deployment("single", 1)  # the answers are those of the deployment already
Names = str | Sequence[str | Metric | Chosen]


@dataclass(frozen=True)
class Measured:
    """A metric of a network under a deployment.

    Attributes:
        name: the metric with its options.
        value: its value, over all examples and draws.
        low, high: its confidence interval, over examples and draws.
        better: ``high`` or ``low`` values; empty for neither.
        why: why it was chosen; empty if it was named.
        rule: how draws answer.
        examples: number of examples.
        draws: number of draws, or groups of draws; 1 for a deterministic network.
    """

    name: str
    value: float
    low: float
    high: float
    better: str
    why: str
    rule: str
    examples: int
    draws: int

    def as_json(self) -> dict[str, Any]:
        """As a dict for JSON."""
        return asdict(self)


def measure(
    task: str | Task,
    outputs: Tensor,
    y: Tensor,
    *,
    names: Names = AUTO,
    rule: str | Deployment = "single",
    seed: int = 0,
    level: float = 0.95,
) -> list[Measured]:
    """Measure a network's outputs by metrics.

    A metric is that of the answers of all draws to all examples together, as if a fresh draw (or group) answered every
    query. ``variate.metrics.bootstrap`` describes the intervals.

    Args:
        task: what the outputs mean, such as ``classes`` or ``regression(tolerance=0.3)``.
        outputs: outputs under every verdict draw, shape (n, N, M); n is 1 for a deterministic network.
        y: labels, shape (N, ...).
        names: metrics such as ``f-beta(beta=2)``, or ``auto``: those that ``chosen`` finds fit for the labels, and for
            what you know of the problem, as in ``auto(ordinal=yes)`` (``variate.metrics.choose.Wishes``).
        rule: ``single``, ``mean-S`` or ``majority-S``.
        seed: seed of the resampling.
        level: confidence of each interval.

    Raises:
        InputError: for outputs or labels that do not fit the task, and metrics that are undefined on them.
        UsageError: for an unknown metric, one that does not fit the task or the rule, and too few draws.
    """
    task = task_of(task)
    given = responses(task, outputs, y, rule)
    found = []
    for metric, why in wanted(task, given, names):
        value, low, high = _measured(metric, given, seed, level)
        facts = (str(given.deployment), given.outputs.shape[1], len(given.outputs))
        found.append(Measured(written(metric), value, low, high, better(metric), why, *facts))
    return found


def kept(
    task: str | Task,
    outputs: Tensor,
    twin: Tensor,
    y: Tensor,
    *,
    names: Names = AUTO,
    rule: str | Deployment = "single",
    seed: int = 0,
    level: float = 0.95,
) -> list[Measured]:
    """How much of the task's performance a network keeps: its metrics minus those of its twin, on the same examples.

    Examples are resampled together, the draws of each network on their own.

    Args:
        task: what the outputs mean.
        outputs: outputs of the network, shape (n, N, M).
        twin: outputs of its twin for the same examples, shape (m, N, M); m is 1 for a deterministic one.
        y: labels, shape (N, ...).
        names: metrics, as for ``measure``.
        rule: how the draws of both answer.
        seed: seed of the resampling.
        level: confidence of each interval.

    Raises:
        InputError: as for ``measure``.
        UsageError: as for ``measure``.
    """
    task = task_of(task)
    ours, theirs = (responses(task, each, y, rule) for each in (outputs, twin))
    draws, examples = (len(ours.outputs), len(theirs.outputs)), ours.outputs.shape[1]
    found = []
    for metric, why in wanted(task, ours, names):
        pair = difference(_prepared(metric, ours), _prepared(metric, theirs), draws, examples, seed)
        width = metric.bounds[1] - metric.bounds[0]
        _check_defined(metric, pair.value)
        random = [count for count in draws if count > 1]
        low, high = pair.interval(examples, min(random, default=1), (-width, width), level=level)
        facts = (str(ours.deployment), examples, max(draws))
        found.append(Measured(written(metric), pair.value, low, high, better(metric), why, *facts))
    return found


def wanted(task: Task, given: Responses, names: Names) -> list[tuple[Metric, str]]:
    """The metrics that are asked for, each with why. Raises ``UsageError`` where one does not fit the task."""
    listed: Sequence[str | Metric | Chosen] = [names] if isinstance(names, str) else names
    found: dict[Metric, str] = {}
    for name in listed:
        wishes = wishes_of(name)
        if wishes is not None:
            fit = [
                one
                for one in chosen(task, given.y, classes=_classes(task, given), **asdict(wishes))
                if not (given.voted and _needs_probabilities(one.name))
            ]
            found |= {metric_of(one.name): one.why for one in fit}
        elif isinstance(name, Chosen):
            found |= {metric_of(name.name): name.why}
        else:
            found.setdefault(metric_of(name), "")
    for metric in found:
        check_task(metric, task)
    return list(found.items())


def better(metric: Metric) -> str:
    """Whether ``high`` or ``low`` values are better; empty for neither."""
    return str(metric.__variate__["better"])


def _classes(task: Task, given: Responses) -> int | None:
    return given.outputs.shape[-1] if isinstance(task, Classes) else None


def _needs_probabilities(name: str) -> bool:
    return bool(metric_of(name).__variate__["needs"] == "probabilities")


def check_task(metric: Metric, task: Task) -> None:
    """Check that a metric measures a task. Raises ``UsageError`` with those that do."""
    name = task_name(task)
    if name in metric.__variate__["tasks"]:
        return
    fit = [other for other, entry in registry.entries("metrics").items() if name in entry.facts["tasks"]]
    why = "it needs probabilities of classes, and" if metric.__variate__["needs"] == "probabilities" else "it"
    found = f"{why} is for {', '.join(metric.__variate__['tasks'])}"
    raise UsageError(
        f"{name_of(metric)} does not measure the task {name}: {found}", expected=f"one of {', '.join(fit)}"
    )


def _measured(metric: Metric, given: Responses, seed: int, level: float) -> tuple[float, float, float]:
    draws, examples = given.outputs.shape[:2]
    if isinstance(metric, Mean):
        largest = metric.largest(given)
        rate = rate_of(EACH, metric.shares(given), level=level)
        return rate.rate * largest, rate.low * largest, rate.high * largest
    found = resampled(_prepared(metric, given), draws, examples, seed)
    _check_defined(metric, found.value)
    low, high = found.interval(examples, draws, metric.bounds, biased=metric.biased, level=level)
    return found.value, low, high


def _check_defined(metric: Metric, value: float) -> None:
    if not np.isfinite(value):
        raise InputError(
            f"{written(metric)} is undefined on these examples: nothing that it counts occurs",
            todo="evaluate other examples, or choose another metric",
        )


def _prepared(metric: Metric, given: Responses) -> Prepared:
    with np.errstate(divide="ignore", invalid="ignore"):
        return metric.prepared(given)
