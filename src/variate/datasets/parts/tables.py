"""Encode the cells of a table as rows in [0, 1], with a description of every column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import SHOWN, Sheet
from variate.datasets.parts.declared import Declaration
from variate.datasets.parts.encoder import encode
from variate.datasets.parts.loaded import Loaded
from variate.datasets.parts.table_labels import labels_of_table
from variate.datasets.parts.targets import target_of
from variate.datasets.splits import SplitName, permutation
from variate.errors import DataError
from variate.inputs.budget import Budget
from variate.inputs.columns import Column
from variate.tasks.task import name_of, task_of, written

MIN_ROWS = 10
DEFAULT_BUDGET = "linf:0.1"


def about_table(
    columns: Sequence[Column], x: Tensor, *, classes: int, budget: str, labels: Sequence[str] = ()
) -> About:
    """The facts of a table whose training split is ``x``, shape (N, D).

    Columns of categories get mean 0 and std 1, so that networks do not normalize them.
    """
    numeric = torch.tensor([column.group is None for column in columns])
    std = x.std(0)
    return About(
        "tabular",
        (len(columns),),
        classes,
        tuple(x.mean(0).where(numeric, 0.0).tolist()),
        tuple(std.where(numeric & (std > 0), 1.0).tolist()),
        budget,
        tuple(labels),
        {"features": [column.as_json() for column in columns]},
    )


def table_of(sheet: Sheet, declared: Declaration, task: str = "") -> Loaded:
    """Encode the rows of a file as declared; anything not declared is inferred from the training split.

    ``task`` is what the labels mean; by default what is declared, or else classes.

    Values outside a declared range are errors. Values of other splits outside the range of the training split are
    clipped to it, and ``clipped`` in the details counts them.

    Raises:
        DataError: for missing values, values out of range or between steps, categories and labels that are not in the
            training split, features that are constant there, and empty splits; it lists every finding.
        UsageError: for a task that does not exist, or that tables have no labels for.
    """
    meaning = task_of(task or declared.task or "classes")
    columns_of_labels = declared.label_columns(sheet.names)
    required = [*columns_of_labels, *([declared.split] if declared.split else []), *declared.drop, *declared.features]
    sheet.require(required)
    names = [name for name in sheet.names if name not in (*columns_of_labels, declared.split, *declared.drop)]
    if not names:
        raise DataError(f"{sheet.path} has no features", findings=[f"its columns are {', '.join(sheet.names)}"])
    sheet.refuse_missing([*names, *columns_of_labels, *([declared.split] if declared.split else [])])
    rows = _splits(sheet, declared.split)
    labels, y = labels_of_table(sheet, columns_of_labels, rows["train"], name_of(meaning))
    encoded = encode(sheet, names, rows["train"], declared.features)
    columns, x = encoded.columns, encoded.x
    budget = Budget.parse(declared.budget or DEFAULT_BUDGET).text
    about = about_table(columns, x[rows["train"]], classes=len(labels), budget=budget, labels=labels)
    more: dict[str, Any] = {"clipped": encoded.clipped} if encoded.clipped else {}
    if name_of(meaning) == "regression":
        more |= {"target": target_of(y[rows["train"]])}
    about = replace(about, details={**about.details, **more}, task=written(meaning))
    return Loaded(about, {split: (x[indices], y[indices]) for split, indices in rows.items()})


def _splits(sheet: Sheet, column: str | None) -> dict[SplitName, NDArray[np.int64]]:
    """Row indices of every split: from a column, or 60 %, 20 % and 20 % of the fixed permutation."""
    names = cast(tuple[SplitName, ...], get_args(SplitName))
    count = len(sheet.rows)
    if column is None:
        if count < MIN_ROWS:
            raise DataError(f"{sheet.path} has {count} rows", expected=f"at least {MIN_ROWS}")
        order, fifth = permutation(count), count // 5
        return {"train": order[2 * fifth :], "validation": order[fifth : 2 * fifth], "test": order[:fifth]}
    words = np.array(sheet.column(column))
    findings = [f"{word!r} is not a split" for word in sorted({*words.tolist()} - {*names})[:SHOWN]]
    findings += [f"no row is in {name}" for name in names if not (words == name).any()]
    if findings:
        expected = ", ".join(names)
        raise DataError(
            f"the column {column} of {sheet.path} does not name splits", findings=findings, expected=expected
        )
    return {name: np.flatnonzero(words == name) for name in names}
