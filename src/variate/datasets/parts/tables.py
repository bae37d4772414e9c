"""Encode the cells of a table as rows in [0, 1], with a description of every column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.info import About
from variate.datasets.parts.csv import NUMBER, SHOWN, Sheet
from variate.datasets.parts.declared import Declaration, Feature
from variate.datasets.parts.loaded import Loaded
from variate.datasets.splits import SplitName, permutation
from variate.errors import DataError
from variate.inputs.budget import Budget
from variate.inputs.columns import MOST_STEPS, Column, columns_of

WHOLE = re.compile(r"[+-]?\d{1,18}")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
GROUPED = r"[+-]?\d{1,3}([ ,.'\u00a0\u202f]\d{3})+([.,]\d+)?"
WRITTEN = re.compile(
    rf"{DECIMAL_COMMA.pattern}|{GROUPED}|[$€£¥]?\s*{NUMBER.pattern}\s*[%$€£¥]?"
)  # numbers as people write them: 12,5 and 1 200 and 12 %
MOSTLY = 0.5  # share of numbers from which a column is one of numbers, whatever the other cells hold
MIN_ROWS = 10
DEFAULT_BUDGET = "linf:0.1"
LONGEST = 60  # characters of a cell in an error
LARGEST = 1e150  # differences of numbers up to it, and their squares, are finite
NOT_A_NUMBER = "not a number, and most of this column is: correct it, drop its row, or declare categorical = true"
Floats = NDArray[np.float64]


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


def table_of(sheet: Sheet, declared: Declaration) -> Loaded:
    """Encode the rows of a file as declared; anything not declared is inferred from the training split.

    Values outside a declared range are errors. Values of other splits outside the range of the training split are
    clipped to it, and ``clipped`` in the details counts them.

    Raises:
        DataError: for missing values, values out of range or between steps, categories and labels that are not in the
            training split, features that are constant there, and empty splits; it lists every finding.
    """
    label = declared.label or sheet.names[-1]
    required = [label, *([declared.split] if declared.split else []), *declared.drop, *declared.features]
    sheet.require(required)
    names = [name for name in sheet.names if name not in (label, declared.split, *declared.drop)]
    if not names:
        raise DataError(f"{sheet.path} has no features", findings=[f"its columns are {', '.join(sheet.names)}"])
    sheet.refuse_missing([*names, label, *([declared.split] if declared.split else [])])
    rows = _splits(sheet, declared.split)
    labels, y = _labels(sheet, label, rows["train"])
    encoder = _Encoder(sheet, rows["train"])
    for name in names:
        encoder.add(name, declared.features.get(name, Feature()))
    if encoder.findings:
        raise DataError(
            f"{sheet.path} has values that its features do not allow",
            findings=encoder.findings,
            expected="values within the declared ranges and categories, or those of the training split",
            todo="declare the feature's range or categories in a TOML file of the same name, or drop the feature",
        )
    columns = columns_of([column.as_json() for column in encoder.columns])
    x = torch.from_numpy(np.concatenate(encoder.values, 1)).to(torch.float32)
    budget = Budget.parse(declared.budget or DEFAULT_BUDGET).text
    about = about_table(columns, x[rows["train"]], classes=len(labels), budget=budget, labels=labels)
    if encoder.clipped:
        about = replace(about, details={**about.details, "clipped": encoder.clipped})
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


def _labels(sheet: Sheet, label: str, train: NDArray[np.int64]) -> tuple[list[str], Tensor]:
    """The names of the classes in order, and the label of every row: (N,)."""
    cells = sheet.column(label)
    seen = {cells[row] for row in train}
    classes = sorted(seen, key=int) if all(map(WHOLE.fullmatch, seen)) else sorted(seen)
    if len(classes) < 2 or len(classes) * 2 > len(train):
        raise DataError(
            f"the column {label} of {sheet.path} has {len(classes)} values in {len(train)} rows of the training split",
            expected="a column of classes: at least two classes, with several rows each",
            todo="name the column of classes as label in the TOML file of the same name; the default is the last",
        )
    unknown = [(cell, line) for cell, line in zip(cells, sheet.lines, strict=True) if cell not in seen]
    if unknown:
        raise DataError(
            f"the column {label} of {sheet.path} has classes that are not in the training split",
            findings=[f"line {line}: {cell!r}" for cell, line in unknown[:SHOWN]],
            expected=f"one of {', '.join(classes)}",
        )
    index = {name: i for i, name in enumerate(classes)}
    return classes, torch.tensor([index[cell] for cell in cells])


@dataclass
class _Encoder:
    """Encodes features one by one as columns in [0, 1], and collects what is wrong with them."""

    sheet: Sheet
    train: NDArray[np.int64]
    columns: list[Column] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    clipped: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, declared: Feature) -> None:
        """Add one feature: categorical if declared so, or if at most half of the training split is numbers.

        A column of numbers with other cells among them is refused: as categories, numbers would have no order, and no
        budget in a norm would reach them.
        """
        cells = self.sheet.column(name)
        seen = [cells[row] for row in self.train]
        numbers = np.mean([WRITTEN.fullmatch(cell) is not None for cell in seen])
        commas = [DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells]
        if declared.categorical or declared.categories:
            self._add_categories(name, cells, seen, declared)
        elif np.mean(commas) > MOSTLY:
            self._report_bad(name, cells, commas, "a number with a decimal comma: write 0.5, not 0,5")
        elif numbers > MOSTLY:
            self._add_number(name, cells, seen, declared)
        else:
            self._add_categories(name, cells, seen, declared)

    def _add_categories(self, name: str, cells: list[str], seen: list[str], declared: Feature) -> None:
        categories = list(declared.categories) or sorted(set(seen))
        if (declared.low, declared.high, declared.step) != (None, None, None):
            odd = next((cell for cell in seen if not NUMBER.fullmatch(cell)), None)
            problem = "has declared categories" if odd is None else f"has the value {odd!r}"
            self.findings.append(f"{name} is declared as numeric but {problem}")
        elif len(categories) != len(set(categories)):
            self.findings.append(f"{name}: a category is declared twice")
        elif len(categories) < 2:
            self.findings.append(f"{name} is constant: {categories[0]!r} in every row of the training split")
        elif len(categories) * 2 > len(seen) and not declared.categories:
            self.findings.append(
                f"{name} has {len(categories)} categories in {len(seen)} rows: is it a name or free text?"
            )
        elif not self._report_bad(name, cells, [cell not in categories for cell in cells], "not a known category"):
            index = {category: i for i, category in enumerate(categories)}
            mutable, cost = not declared.immutable, declared.cost
            self.columns += [Column(word, group=name, mutable=mutable, cost=cost) for word in categories]
            self.values.append(np.eye(len(categories))[[index[cell] for cell in cells]])

    def _add_number(self, name: str, cells: list[str], seen: list[str], declared: Feature) -> None:
        if self._report_bad(name, cells, [not NUMBER.fullmatch(cell) for cell in cells], NOT_A_NUMBER):
            return
        values = np.array([float(cell) for cell in cells])
        if self._report_bad(name, cells, np.abs(values) > LARGEST, "too large for a number"):
            return
        train_values = values[self.train]
        low = float(train_values.min()) if declared.low is None else declared.low
        high = float(train_values.max()) if declared.high is None else declared.high
        step = declared.step or None
        if declared.step is None and all(map(WHOLE.fullmatch, seen)) and low == round(low) and high == round(high):
            step = 1.0 if high - low <= MOST_STEPS else None
        column = Column(name, low, high, step, not declared.immutable, unit=declared.unit)
        if low == high and declared.low is None and declared.high is None:
            self.findings.append(f"{name} is constant: {low:g} in every row of the training split")
            return
        column_findings = list(column.findings())
        self.findings += column_findings
        values = self._clipped(name, values, declared, low, high)
        if column_findings or self._report_bad(
            name, cells, (values < low) | (values > high), f"outside {low:g} to {high:g}"
        ):
            return
        steps = (values - low) / (step or 1.0)
        off_step = (np.abs(steps - steps.round()) > 1e-6 * np.maximum(1.0, steps)) & (step is not None)
        if not self._report_bad(name, cells, off_step, f"between the steps of {step or 0:g} from {low:g}"):
            self.columns.append(column)
            self.values.append(((values - low) / (high - low)).clip(0.0, 1.0)[:, None])

    def _clipped(self, name: str, values: Floats, declared: Feature, low: float, high: float) -> Floats:
        """Clip values to ends that are not declared but those of the training split, and count the clipped ones."""
        inside = values if declared.low is not None else np.maximum(values, low)
        inside = inside if declared.high is not None else np.minimum(inside, high)
        count = int((inside != values).sum())
        self.clipped |= {name: count} if count else {}
        return inside

    def _report_bad(self, name: str, cells: list[str], bad: Sequence[bool] | NDArray[np.bool_], problem: str) -> bool:
        """Add a finding if any cell is bad; return whether one is."""
        rows = np.flatnonzero(bad)
        if not len(rows):
            return False
        line, more = self.sheet.lines[rows[0]], ", ".join(str(self.sheet.lines[row]) for row in rows[1:SHOWN])
        others = f" (and in {len(rows) - 1} more rows: {'line' if len(rows) == 2 else 'lines'} {more}"
        others += ", ...)" if len(rows) > SHOWN else ")"
        cell = cells[rows[0]] if len(cells[rows[0]]) <= LONGEST else f"{cells[rows[0]][:LONGEST]}..."
        self.findings.append(f"{name}, line {line}: {cell!r} is {problem}{others if len(rows) > 1 else ''}")
        return True
