"""The labels of a table as its task takes them: a class, 0 or 1 for several labels, or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.csv import NUMBER, SHOWN, Sheet
from variate.datasets.parts.encoder import WHOLE
from variate.errors import DataError, UsageError

YES_OR_NO = {"0": 0, "1": 1, "false": 0, "true": 1, "no": 0, "yes": 1}
LARGEST = 1e15  # of a number to predict, so that float32 holds sums of squares of many
NUMERIC = 'to predict numbers: task = "regression(tolerance=...)", with the largest error that counts as right'


class TableLabels(NamedTuple):
    """The names of the classes, labels or numbers, and the label of every row: (N,), or (N, L) of several columns."""

    names: list[str]
    y: Tensor


def labels_of_table(sheet: Sheet, columns: Sequence[str], train: NDArray[np.int64], task: str) -> TableLabels:
    """The labels of every row.

    Args:
        sheet: the table.
        columns: names of the columns of the labels.
        train: indices of the rows of the training split.
        task: name of the task.

    Raises:
        DataError: for cells that are no labels of this task; it lists them by column and line.
        UsageError: for a task that tables have no labels for.
    """
    readers: dict[str, Callable[..., TableLabels]] = {
        "classes": _classes,
        "binary": _binary,
        "labels": _several,
        "regression": _numbers,
    }
    if task not in readers:
        raise UsageError(f"a table has no labels for the task {task}", expected=f"one of {', '.join(readers)}")
    if task in ("classes", "binary") and len(columns) > 1:
        raise DataError(
            f"{sheet.path} has {len(columns)} columns of labels for the task {task}, which takes one",
            findings=[", ".join(columns)],
            todo='task = "labels" for several labels of 0 and 1, task = "regression(tolerance=...)" for numbers',
        )
    return readers[task](sheet, columns, train)


def _classes(sheet: Sheet, columns: Sequence[str], train: NDArray[np.int64]) -> TableLabels:
    """The names of the classes in order, and the label of every row: (N,)."""
    label = columns[0]
    cells = sheet.column(label)
    seen = {cells[row] for row in train}
    classes = sorted(seen, key=int) if all(map(WHOLE.fullmatch, seen)) else sorted(seen)
    if len(classes) < 2 or len(classes) * 2 > len(train):
        numeric = all(map(NUMBER.fullmatch, seen)) and len(classes) > 1
        raise DataError(
            f"the column {label} of {sheet.path} has {len(classes)} values in {len(train)} rows of the training split",
            expected="a column of classes: at least two classes, with several rows each",
            todo="name the column of classes as label in the TOML file of the same name; the default is the last"
            + (f"; {NUMERIC}" if numeric else ""),
        )
    unknown = [(cell, line) for cell, line in zip(cells, sheet.lines, strict=True) if cell not in seen]
    if unknown:
        raise DataError(
            f"the column {label} of {sheet.path} has classes that are not in the training split",
            findings=[f"{sheet.counts} {line}: {cell!r}" for cell, line in unknown[:SHOWN]],
            expected=f"one of {', '.join(classes)}",
        )
    index = {name: i for i, name in enumerate(classes)}
    return TableLabels(classes, torch.tensor([index[cell] for cell in cells]))


def _binary(sheet: Sheet, columns: Sequence[str], train: NDArray[np.int64]) -> TableLabels:
    """Two classes; the second in order is 1."""
    labels = _classes(sheet, columns, train)
    if len(labels.names) > 2:
        raise DataError(
            f"the column {columns[0]} of {sheet.path} has {len(labels.names)} classes",
            expected="two classes for the task binary",
            todo="leave the task out: the task classes takes any number of them",
        )
    return labels


def _several(sheet: Sheet, columns: Sequence[str], train: NDArray[np.int64]) -> TableLabels:
    """0 or 1 in every column: (N, L)."""
    words = {name: [cell.lower() for cell in sheet.column(name)] for name in columns}
    bad = {name: [cell not in YES_OR_NO for cell in cells] for name, cells in words.items()}
    _refuse(sheet, bad, "labels", "0 or 1 (or no or yes, false or true) in every column of labels")
    return TableLabels([*columns], torch.tensor([[YES_OR_NO[cell] for cell in cells] for cells in words.values()]).T)


def _numbers(sheet: Sheet, columns: Sequence[str], train: NDArray[np.int64]) -> TableLabels:
    """Numbers as float32: (N,) of one column, (N, Q) of several."""
    cells = {name: sheet.column(name) for name in columns}
    bad = {name: [not _is_number(cell) for cell in found] for name, found in cells.items()}
    _refuse(sheet, bad, "numbers", f"numbers with a decimal point, up to {LARGEST:g}")
    y = torch.tensor([[float(cell) for cell in found] for found in cells.values()]).T  # (N, Q)
    constant = [name for name, numbers in zip(columns, y[train].T, strict=True) if bool((numbers == numbers[0]).all())]
    if constant:
        raise DataError(
            f"{sheet.path} has nothing to predict",
            findings=[f"{name} is {float(cells[name][train[0]]):g} in every row of training" for name in constant],
            todo="name another column as label",
        )
    return TableLabels([*columns], y[:, 0] if len(columns) == 1 else y)


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None and abs(float(cell)) <= LARGEST


def _refuse(sheet: Sheet, bad: dict[str, list[bool]], what: str, expected: str) -> None:
    """Raise ``DataError`` that lists the columns with bad cells, if there are any."""
    findings = []
    for name, flags in bad.items():
        rows = np.flatnonzero(flags)
        shown = ", ".join(f"{sheet.counts} {sheet.lines[row]}: {sheet.column(name)[row]!r:.60}" for row in rows[:SHOWN])
        if len(rows):
            findings.append(f"{name}, {len(rows)} of {len(flags)} rows: {shown}" + (", ..." * (len(rows) > SHOWN)))
    if findings:
        raise DataError(f"{sheet.path} has labels that are no {what}", findings=findings, expected=expected)
