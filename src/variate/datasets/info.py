"""What must be known of a data set before a network can be built for it and attacked on it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from variate.datasets.load import is_own, labelled, registered
from variate.inputs.modality import Modality, modality_of
from variate.inputs.validation import check_inputs


class Facts(Protocol):
    """What an architecture may ask of the data that it is built for; ``About`` and a saved network's card have it."""

    @property
    def kind(self) -> str:
        """The name of the modality."""

    @property
    def shape(self) -> Sequence[int]:
        """Of one input."""

    @property
    def classes(self) -> int:
        """Number of labels."""

    @property
    def mean(self) -> Sequence[float]:
        """Of the training split."""

    @property
    def std(self) -> Sequence[float]:
        """Of the training split."""

    @property
    def details(self) -> Mapping[str, Any]:
        """Words, features, a rate."""


@dataclass(frozen=True)
class About:
    """The facts of a data set.

    Attributes:
        kind: the name of its modality.
        shape: of one input.
        classes: number of labels.
        mean, std: of the training split, a value per channel or one for all; what a network's first layer takes away.
        budget: the field's usual one.
        labels: what the classes are called, where they have names.
        details: what the modality and the networks must know of it, as JSON can hold it: words, features, a rate.
    """

    kind: str
    shape: tuple[int, ...]
    classes: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    budget: str = ""
    labels: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modality(self) -> Modality:
        """What its inputs are."""
        return modality_of(self.kind, self.details)


def about(data: str, *, folder: str | PathLike[str] | None = None) -> About:
    """The facts of a registered data set, or of the user's own.

    Args:
        data: its name, with options or without; or a ``.npz`` file or ``module:callable`` (see
            ``variate.datasets.load``), whose facts are those of its training split: images of shape (N, C, H, W), or
            rows of numbers in [0, 1] of shape (N, D).
        folder: of its files, for those whose facts are known only once they are read: their file has a function
            ``about(folder)`` beside the loader, with the loader's options.

    Raises:
        UsageError: for a name that does not exist, DataError where files are missing or damaged.
    """
    if is_own(data):
        return _own(data)
    entry, options = registered(data)
    told = getattr(importlib.import_module(entry.module), "about", None)
    if told is not None:
        found: About = told(None if folder is None else Path(folder), **options)
        return found
    facts = entry.facts
    return About(facts["modality"], *(facts[name] for name in ("shape", "classes", "mean", "std", "budget")))


@cache
def _own(data: str) -> About:
    """The facts of a file or callable of the user's own."""
    x, y = labelled(data, split="train", cut=True)
    check_inputs(x, y)
    over = (0,) if x.dim() == 2 else (0, *range(2, x.dim()))  # all but the features, or the channels
    mean, std = x.mean(over), x.std(over)
    return About(
        kind="tabular" if x.dim() == 2 else "image",
        shape=tuple(x.shape[1:]),
        classes=max(int(y.max()) + 1, 2),
        mean=tuple(round(float(value), 6) for value in mean),
        std=tuple(round(float(value), 6) if value > 0 and math.isfinite(value) else 1.0 for value in std),
    )
