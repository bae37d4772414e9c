"""Which metrics fit a task and its data, with one sentence each on why.

After Maier-Hein et al. 2024, "Metrics reloaded: recommendations for image analysis validation" (arXiv:2206.01653): what
a metric hides depends on how frequent classes are, on what errors cost and on how large structures are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from variate.errors import UsageError, unknown_name
from variate.metrics.expected_cost import LINEAR, ExpectedCost, as_text
from variate.metrics.metric import Metric, written
from variate.metrics.parts.objects import objects_of
from variate.metrics.parts.problems import Whole
from variate.metrics.small_objects import SmallObjects
from variate.options import parse
from variate.statistics.prevalence import Prevalence, prevalence
from variate.tasks.positions import IGNORED
from variate.tasks.regression import Regression
from variate.tasks.task import Task, task_of
from variate.tasks.task import name_of as task_name

AUTO = "auto"
RANKED = 20  # classes up to which each is ranked against the rest
MANY = 0.2  # share of the objects that are small from which on they are measured apart
WORDS = {"yes": True, "no": False, "true": True, "false": False}
RARE = 0.25  # share of the examples that have a label, below which most answers are right without it


@dataclass(frozen=True)
class Chosen:
    """A metric and one sentence on why it was chosen."""

    name: str
    why: str

    def as_json(self) -> dict[str, str]:
        """As a dict for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Wishes:
    """What a user knows of a problem and its labels do not say: written ``auto(costs='0 1; 5 0')``.

    Attributes:
        ordinal: whether classes have an order, so that a near miss is less of an error.
        costs: what it costs to answer column j where row i is right, as in ``0 1; 5 0``, if errors differ in cost.
        small_structures: whether small objects matter as much as large ones.
    """

    ordinal: bool = False
    costs: str | None = None
    small_structures: bool = False

    def check(self, task: Task) -> None:
        """Check that a task can have them. Raises ``UsageError``."""
        _check_wishes(task_name(task), **asdict(self))
        if self.costs is not None:
            ExpectedCost(self.costs)


def wishes_of(text: object) -> Wishes | None:
    """The wishes in ``auto`` or ``auto(ordinal=yes, ...)``; None for anything else, such as the name of a metric.

    Raises:
        UsageError: for an option that ``auto`` does not have, and a value that is not one of its own.
    """
    if not isinstance(text, str) or text.partition("(")[0].strip() != AUTO:
        return None
    found: dict[str, Any] = {}
    for name, value in parse(text, "a choice of metrics", Wishes)[1].items():
        if name not in (known := [field.name for field in fields(Wishes)]):
            raise unknown_name("option of auto", name, known)
        found[name] = value if name == "costs" else _yes(name, value)
    return Wishes(**found)


def _yes(name: str, value: object) -> bool:
    if value not in WORDS:
        raise UsageError(f"{name} of auto is {value!r}", expected="yes or no")
    return WORDS[str(value)]


def chosen(
    task: str | Task,
    y: Tensor,
    *,
    ordinal: bool = False,
    costs: str | Sequence[Sequence[float]] | None = None,
    small_structures: bool = False,
    classes: int | None = None,
) -> list[Chosen]:
    """The metrics that fit a task and its labels, the most telling first.

    Args:
        task: what answers mean.
        y: labels, shape (N, ...).
        ordinal: whether classes have an order, so that a near miss is less of an error.
        costs: what it costs to answer column j where row i is right, if errors differ in cost.
        small_structures: whether small objects matter as much as large ones.
        classes: number of classes, if some may have no example here; by default those that occur.

    Raises:
        InputError: for labels that do not fit the task.
        UsageError: for costs, an order or small structures that the task has not.
    """
    task = task_of(task)
    task.check_labels(y, len(y))
    name = task_name(task)
    _check_wishes(name, ordinal=ordinal, costs=costs, small_structures=small_structures)
    if name in ("classes", "binary"):
        return [*_costly(ordinal, costs), *_of_classes(prevalence(y.tolist()), classes)]
    if name == "labels":
        return _of_labels(y)
    if name == "positions":
        return list(_of_positions(y, small_structures))
    if isinstance(task, Regression):
        return _of_numbers(task, y)
    return [Chosen("character-error-rate", "it counts the symbols that are wrong, left out or put in")]


def _check_wishes(name: str, **wishes: object) -> None:
    fit = {"ordinal": ("classes",), "costs": ("classes", "binary"), "small_structures": ("positions",)}
    for wish, value in wishes.items():
        if value is not None and value is not False and name not in fit[wish]:
            raise UsageError(f"{wish} does not go with the task {name}", expected=f"the task {' or '.join(fit[wish])}")


def _costly(ordinal: bool, costs: str | Sequence[Sequence[float]] | None) -> Iterator[Chosen]:
    if costs is not None:
        yield _with(ExpectedCost(as_text(costs)), "errors differ in cost, and this is what they cost on average")
    if ordinal:
        yield _with(ExpectedCost(LINEAR), "the classes have an order, and an error costs as much as it is far off")


def _with(metric: Metric, why: str) -> Chosen:
    return Chosen(written(metric), why)


def _of_classes(found: Prevalence, classes: int | None) -> list[Chosen]:
    few = 1 < len(found.counts) <= RANKED and len(found.counts) == (classes or len(found.counts))
    if found.skewed:
        shown = f"class {found.most} is {100 * found.share(found.most):.0f} % of the examples"
        chances = f"class {found.least} is rare ({100 * found.share(found.least):.1f} %)"
        metrics = [
            Chosen("balanced-accuracy", f"{shown}, and accuracy would reward answering it always"),
            Chosen("mcc", "it is high only if the answers to every class are mostly right, whatever their frequency"),
        ]
        if few:
            metrics.append(Chosen("average-precision", f"{chances}: it shows whether its examples are ranked first"))
    else:
        metrics = [Chosen("accuracy", "no class is three times as frequent as another, so the share right is telling")]
        if few:
            metrics.append(Chosen("auroc", "it shows how well classes are told apart, whatever the threshold"))
    return [
        *metrics,
        Chosen("brier", "it rewards probabilities that are honest and sharp"),
        Chosen("calibration-error", "it shows whether confidence can be believed"),
    ]


def _of_labels(y: Tensor) -> list[Chosen]:
    shares = y.double().mean(0)  # (L,)
    rarest, defined = float(shares.min()), bool(((shares > 0) & (shares < 1)).all())
    metrics = []
    if rarest < RARE:
        shown = f"a label is on {100 * rarest:.1f} % of the examples"
        metrics.append(Chosen("f-beta", f"{shown}, and accuracy would reward leaving it out"))
        if defined:
            metrics.append(Chosen("average-precision", "it shows whether examples with a rare label are ranked first"))
    else:
        metrics.append(
            Chosen("accuracy", "every label is on a quarter of the examples or more, so accuracy is telling")
        )
        if defined:
            metrics.append(Chosen("auroc", "it shows how well each label is told apart, whatever the threshold"))
    return [*metrics, Chosen("brier", "it rewards probabilities that are honest and sharp")]


def _of_positions(y: Tensor, wished: bool) -> Iterator[Chosen]:
    labels = y.long().numpy()
    sizes, limit = _object_sizes(labels), SmallObjects().share * labels[0].size
    small = int((sizes <= limit).sum())
    yield Chosen("mean-iou", "it weighs every class the same, however many positions the class has")
    yield Chosen("example-iou", "every example counts the same, as in the score that attacks lower")
    if small and (wished or small >= MANY * len(sizes)):
        said = f"{small} of {len(sizes)} objects are small, and overlap hardly changes if they are missed"
        yield Chosen("small-objects", said)
    if labels.ndim == 3:
        yield Chosen("surface-dice", "it shows whether boundaries are where they should be, which overlap hides")
    if not prevalence(labels[labels != IGNORED].reshape(-1)).skewed:
        yield Chosen("pixel-accuracy", "no class is three times as frequent as another, so the share right is telling")


def _object_sizes(labels: Whole) -> Whole:
    return np.array([len(where) for one in labels for where in objects_of(one)], dtype=np.int64)


def _of_numbers(task: Regression, y: Tensor) -> list[Chosen]:
    metrics = [
        Chosen("within-tolerance", f"it is the share of numbers that the task calls right, within {task.tolerance:g}"),
        Chosen("mae", "it is in the unit of the labels, and no single error rules it"),
    ]
    if bool((y.double().reshape(len(y), -1).std(0) > 0).all()):
        metrics.append(Chosen("r2", "it compares the errors with always answering the mean"))
    return metrics
