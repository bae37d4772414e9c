"""Look at data before anything is trained on it: counts, ranges, columns, duplicates, a few examples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from variate.datasets.csv import sheet_of
from variate.datasets.info import About, about
from variate.datasets.load import labelled
from variate.datasets.parts.column_look import ColumnLook, columns_of_features, columns_of_sheet
from variate.datasets.parts.example_text import lines_of_example
from variate.datasets.parts.label_look import counts_of, mask_lines, ordered, quantiles_of, told_label
from variate.datasets.parts.located import located
from variate.datasets.parts.own import is_own
from variate.datasets.parts.repeats import digests
from variate.datasets.splits import SplitName
from variate.errors import DataError, VariateError
from variate.inputs.validation import check_inputs
from variate.tasks.task import Task, task_of

EXAMPLES = 4


@dataclass(frozen=True)
class SplitLook:
    """One split: number of examples, the range and mean of all input values, in [0, 1]."""

    examples: int
    low: float
    high: float
    mean: float


@dataclass(frozen=True)
class Example:
    """One example: its place in the training split, its label in words, and its input as lines of text.

    A mask of classes follows the lines of its picture.
    """

    place: int
    label: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """What is to know of data.

    Attributes:
        data: the data, as it was named.
        read_as: the name of the data set that reads it, or ``own code`` or ``arrays``.
        kind: name of its modality; empty if the data cannot be used.
        shape: shape of one input.
        budget: the budget usually used with it, if there is one.
        task: what its labels mean.
        splits: the splits that there are.
        classes: number of examples by class or label and split; of positions or symbols, their number.
        numbers: for numbers to predict, their quantiles by split.
        columns: of tables, what every column is taken for.
        duplicates: examples that occur more than once, by where.
        examples: a few examples of the training split, of different classes.
        notes: what was left out, converted or is missing.
        error: why the data cannot be used; None if it can.
    """

    data: str
    read_as: str
    kind: str = ""
    shape: tuple[int, ...] = ()
    budget: str = ""
    task: str = ""
    splits: Mapping[SplitName, SplitLook] | None = None
    classes: Mapping[str, Mapping[SplitName, int]] | None = None
    numbers: Mapping[str, Mapping[SplitName, Mapping[str, float]]] | None = None
    columns: Sequence[ColumnLook] = ()
    duplicates: Mapping[str, int] | None = None
    examples: Sequence[Example] = ()
    notes: Sequence[str] = ()
    error: DataError | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        fields = asdict(self)
        error = None
        if self.error is not None:
            parts = ("problem", "findings", "expected", "todo")
            error = {part: getattr(self.error, part) for part in parts}
        return {**fields, "error": error}


def look(data: str | PathLike[str], *, folder: str | PathLike[str] | None = None, examples: int = EXAMPLES) -> Look:
    """Look at a data set or at data of your own, as training and evaluation would read it.

    A table that cannot be used is described as far as its columns go, with the reason as ``error``.

    Args:
        data: what ``variate.data`` takes.
        folder: folder or file of a data set that has its files there.
        examples: number of examples to show.

    Raises:
        UsageError: for a name or an option that does not exist.
        DataError: for data that cannot be read, other than a table.
    """
    source = str(data)
    read_as, place = ("own code" if ":" in source else "arrays", None) if is_own(source) else located(source, folder)
    columns = _sheet_columns(read_as, place)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            facts = about(source, folder=folder)
            parts, missing = _splits(source, folder, task_of(facts.task))
    except DataError as error:
        if not columns:
            raise
        return Look(source, read_as, columns=columns, error=error)
    features = facts.details.get("features", ())
    told = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
    notes = [note for note in dict.fromkeys(told) if "also in its training split" not in note]  # counted below
    return Look(
        source,
        read_as,
        facts.kind,
        facts.shape,
        facts.budget,
        facts.task,
        {name: _of_split(x) for name, (x, _) in parts.items()},
        counts_of(facts, parts),
        quantiles_of(facts, parts),
        columns or columns_of_features(features),
        _duplicates(parts),
        _examples(facts, *next(iter(parts.values())), examples),
        [*notes, *_handled(facts), *missing],
    )


def _sheet_columns(read_as: str, place: Path | None) -> list[ColumnLook]:
    """What the columns of a CSV file are taken for; empty for anything else. Raises ``DataError`` if it is no table."""
    if read_as != "csv":
        return []
    return columns_of_sheet(*sheet_of(place))


def _splits(
    source: str, folder: str | PathLike[str] | None, task: Task
) -> tuple[dict[SplitName, tuple[Tensor, Tensor]], list[str]]:
    """The splits that there are, and why others are missing. Raises what the training split raises."""
    parts: dict[SplitName, tuple[Tensor, Tensor]] = {}
    missing = []
    for name in get_args(SplitName):
        try:
            parts[name] = labelled(source, folder=folder, split=name, cut=True)
            check_inputs(*parts[name], task.label_findings)
        except VariateError as error:
            if name == "train":
                raise
            parts.pop(name, None)
            missing.append(f"no {name} split: {error.problem}")
    return parts, missing


def _of_split(x: Tensor) -> SplitLook:
    return SplitLook(len(x), float(x.min()), float(x.max()), float(x.mean(dtype=torch.float64)))


def _duplicates(parts: Mapping[SplitName, tuple[Tensor, Tensor]]) -> dict[str, int]:
    """How many examples of a split are in it before, or in an earlier split; and inputs that have several labels."""
    hashes = {name: digests(x) for name, (x, _) in parts.items()}
    found = {f"repeated within {name}": len(rows) - len(set(rows)) for name, rows in hashes.items()}
    names = list(hashes)
    for i, name in enumerate(names):
        for other in names[:i]:
            known = set(hashes[other])
            found[f"in {name}, and in {other} too"] = sum(row in known for row in hashes[name])
    labels: dict[bytes, set[bytes]] = {}
    for name, (_, y) in parts.items():
        for row, label in zip(hashes[name], digests(y), strict=True):
            labels.setdefault(row, set()).add(label)
    found["inputs with several labels"] = sum(len(several) > 1 for several in labels.values())
    return found


def _examples(facts: About, x: Tensor, y: Tensor, count: int) -> list[Example]:
    """The first examples, of different classes where each has one."""
    return [
        Example(place, told_label(y[place], facts), tuple(_lines(facts, x[place], y[place])))
        for place in islice(ordered(y, facts), count)
    ]


def _lines(facts: About, x: Tensor, y: Tensor) -> list[str]:
    """An input as lines of text, and below it its mask, if it is a picture with one."""
    lines = lines_of_example(x, facts.kind, facts.details)
    return [*lines, "", *mask_lines(y, facts, len(lines), len(lines[0]))] if x.dim() == 3 and y.dim() == 2 else lines


def _handled(facts: About) -> list[str]:
    """What was done to inputs to make them alike, as their data set counts it."""
    handled, clipped = (facts.details.get(key, {}) for key in ("handled", "clipped"))
    notes = [f"sounds: {', '.join(f'{count:,} {step}' for step, count in handled.items())}"] if handled else []
    if clipped:
        notes.append(f"beyond the range of the training split, and clipped to it: {_counted(clipped)}")
    words = facts.details.get("words")
    return [*notes, f"{len(words):,} words in the vocabulary"] if words else notes


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())
