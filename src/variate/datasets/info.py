"""Facts of a data set that are needed to build a network for it and to attack that network."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from os import PathLike
from typing import Any, Protocol

from torch import Tensor

from variate.datasets.load import is_of_classes, registered
from variate.datasets.parts.located import located
from variate.datasets.parts.own import is_own, own_split
from variate.datasets.parts.repeats import digests, warn_of_repeats
from variate.datasets.parts.targets import target_of
from variate.errors import DataError, VariateError
from variate.inputs.columns import columns_of
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_inputs
from variate.tasks.task import name_of, task_of

CHANNELS = (1, 2, 3, 4)  # numbers of channels of images


class Facts(Protocol):
    """The facts that an architecture may use; ``About`` and the card of a saved network provide them."""

    @property
    def kind(self) -> str:
        """Name of the modality."""

    @property
    def shape(self) -> Sequence[int]:
        """Shape of one input."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def mean(self) -> Sequence[float]:
        """Means of the training split, one per channel or one for all."""

    @property
    def std(self) -> Sequence[float]:
        """Standard deviations of the training split, one per channel or one for all."""

    @property
    def details(self) -> Mapping[str, Any]:
        """Facts specific to the modality: the vocabulary, the features, the sampling rate."""

    @property
    def task(self) -> str:
        """What the labels mean."""


@dataclass(frozen=True)
class About:
    """The facts of a data set.

    Attributes:
        kind: name of its modality.
        shape: shape of one input.
        classes: number of classes.
        mean, std: mean and standard deviation of the training split, per channel or one for all; the first layer of a
            network normalizes with them.
        budget: the budget usually used with it.
        labels: names of the classes, if they have any.
        details: facts specific to the modality, as JSON values: the vocabulary, the features, the sampling rate.
        task: what its labels mean, as ``variate.tasks.task.task_of`` reads it; ``classes`` counts classes, labels or
            numbers.
    """

    kind: str
    shape: tuple[int, ...]
    classes: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    budget: str = ""
    labels: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classes"

    @property
    def modality(self) -> Modality:
        """The modality of its inputs."""
        return modality_of(self.kind, self.details)


def about(data: str | PathLike[str], *, folder: str | PathLike[str] | None = None, task: str | None = None) -> About:
    """The facts of a registered data set, or of the user's own.

    Args:
        data: name of a data set, with or without options; a folder of pictures or sounds, or a table; or a ``.npz``
            file or ``module:callable`` (see ``variate.data``), whose facts are computed from its training split: images
            of shape (N, C, H, W), or rows of numbers in [0, 1] of shape (N, D).
        folder: folder of its files, for data sets whose facts are only known once they are read. Their file defines a
            function ``about(folder)`` beside the loader, with the loader's options.
        task: what labels mean, such as ``regression(tolerance=0.5)``; by default what the data set declares, and
            classes for the user's own data.

    Raises:
        UsageError: for a name that does not exist.
        DataError: if files are missing or damaged.
    """
    data = str(data)
    facts = _own(data, task or "classes") if is_own(data) else _declared(data, folder, task)
    return facts if task is None else replace(facts, task=task)


def _declared(data: str, folder: str | PathLike[str] | None, task: str | None) -> About:
    """The facts of a registered data set."""
    name, place = located(data, folder)
    entry, options = registered(name, task)
    read_about = getattr(importlib.import_module(entry.module), "about", None)
    if read_about is not None:
        about_data: About = read_about(place, **options)
        return about_data
    facts = entry.facts
    return About(facts["modality"], *(facts[name] for name in ("shape", "classes", "mean", "std", "budget", "labels")))


@cache
def _own(data: str, task: str) -> About:
    """The facts of the user's own file or callable. Warns if training examples are in the other splits too."""
    of_classes, kind_of_labels = is_of_classes(task), task_of(task)
    x, y, names, kind, details = own_split(data, "train", cut=True, of_classes=of_classes)
    check_inputs(x, y, kind_of_labels.label_findings)
    facts = _facts_of_own(data, x, max(len(names), kind_of_labels.count(y)), names, kind, details)
    warn_of_repeats(data, {"train": digests(x), **_other_splits(data, of_classes)})
    target = {"target": target_of(y)} if name_of(kind_of_labels) == "regression" else {}
    return replace(facts, details={**facts.details, **target})


def _facts_of_own(
    data: str, x: Tensor, classes: int, labels: tuple[str, ...], kind: str, details: Mapping[str, Any]
) -> About:
    """The facts of inputs that the user's own file or callable has. Raises ``DataError``."""
    if kind == "tabular":
        from variate.datasets.parts.tables import DEFAULT_BUDGET, about_table

        return about_table(columns_of(details["features"]), x, classes=classes, budget=DEFAULT_BUDGET, labels=labels)
    if kind:
        return About(kind, tuple(x.shape[1:]), classes, budget="words:2", labels=labels, details=details)
    if x.dim() == 4 and x.shape[-1] in CHANNELS and x.shape[1] not in CHANNELS:
        raise DataError(
            f"the images of {data} have shape {tuple(x.shape[1:])}",
            expected="channels first: (N, C, H, W)",
            todo="x.transpose(0, 3, 1, 2) of an array, x.permute(0, 3, 1, 2) of a tensor",
        )
    axes = (0,) if x.dim() == 2 else (0, *range(2, x.dim()))  # all axes except features or channels
    mean, std = x.mean(axes), x.std(axes)
    return About(
        kind="tabular" if x.dim() == 2 else "image",
        shape=tuple(x.shape[1:]),
        classes=classes,
        mean=tuple(round(float(value), 6) for value in mean),
        std=tuple(round(float(value), 6) if value > 0 and math.isfinite(value) else 1.0 for value in std),
        labels=labels,
    )


def _other_splits(data: str, of_classes: bool) -> dict[str, list[bytes]]:
    """Hashes of the inputs of the validation and test splits, as far as the user's own data has them."""
    inputs = {}
    for split in ("validation", "test"):
        try:
            inputs[split] = digests(own_split(data, split, cut=True, of_classes=of_classes).x)
        except VariateError:  # said when the split is needed
            continue
    return inputs
