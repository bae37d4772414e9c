"""Encode the features of a table as columns in [0, 1]: numbers by their range, words as categories."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from variate.datasets.parts.csv import NUMBER, SHOWN, Sheet
from variate.datasets.parts.declared import Feature
from variate.errors import DataError
from variate.inputs.columns import MOST_STEPS, Column, columns_of, range_of_relation, relation_findings
from variate.inputs.relations import MISFIT, ROUNDING

WHOLE = re.compile(r"[+-]?\d{1,18}")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
GROUPED = r"[+-]?\d{1,3}([ ,.'\u00a0\u202f]\d{3})+([.,]\d+)?"
WRITTEN = re.compile(
    rf"{DECIMAL_COMMA.pattern}|{GROUPED}|[$€£¥]?\s*{NUMBER.pattern}\s*[%$€£¥]?"
)  # numbers as people write them: 12,5 and 1 200 and 12 %
MOSTLY = 0.5  # share of numbers from which a column is one of numbers, whatever the other cells hold
LONGEST = 60  # characters of a cell in an error
LARGEST = 1e150  # differences of numbers up to it, and their squares, are finite
NOT_A_NUMBER = "not a number, and most of this column is: correct it, drop its row, or declare categorical = true"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Encoded:
    """The features of a table.

    Attributes:
        columns: what every column holds.
        x: the rows, shape (N, D), in [0, 1].
        clipped: number of values that were clipped to the range of the training split, by feature.
    """

    columns: Sequence[Column]
    x: Tensor
    clipped: Mapping[str, int]


def encode(
    sheet: Sheet,
    names: Sequence[str],
    train: NDArray[np.int64],
    declared: Mapping[str, Feature],
    *,
    may_be_constant: bool = False,
) -> Encoded:
    """Encode features as declared; anything not declared is inferred from the training split.

    Args:
        sheet: the table.
        names: names of the features.
        train: indices of the rows of the training split.
        declared: declarations by name of the feature.
        may_be_constant: keep numbers that are constant in the training split, as columns that nobody can change; by
            default they are an error.

    Raises:
        DataError: for values that the features do not allow; it lists every finding.
    """
    encoder = _Encoder(sheet, train, may_be_constant)
    follows = [name for name in names if name in declared and declared[name].sources]
    for name in names:
        if name not in follows:
            encoder.add(name, declared.get(name, Feature()))
    for name in follows:
        encoder.add_computed(name, declared[name])
    encoder.in_order(names)
    if encoder.findings:
        raise DataError(
            f"{sheet.path} has values that its features do not allow",
            findings=encoder.findings,
            expected="values within the declared ranges and categories, or those of the training split",
            todo=sheet.todo,
        )
    columns = columns_of([column.as_json() for column in encoder.columns])
    x = torch.from_numpy(np.concatenate(encoder.values, 1)).to(torch.float32)
    return Encoded(columns, x, encoder.clipped)


def is_categorical(cells: Sequence[str], declared: Feature) -> bool:
    """Whether a feature is one of categories: declared so, or if at most half of its cells are written as numbers."""
    if declared.categorical or declared.categories:
        return True
    return bool(np.mean([WRITTEN.fullmatch(cell) is not None for cell in cells]) <= MOSTLY)


@dataclass
class _Encoder:
    """Encodes features one by one as columns in [0, 1], and collects what is wrong with them."""

    sheet: Sheet
    train: NDArray[np.int64]
    may_be_constant: bool = False
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
        commas = [DECIMAL_COMMA.fullmatch(cell) is not None for cell in cells]
        if is_categorical(seen, declared):
            self._add_categories(name, cells, seen, declared)
        elif np.mean(commas) > MOSTLY:
            self._report_bad(name, cells, commas, "a number with a decimal comma: write 0.5, not 0,5")
        else:
            self._add_number(name, cells, seen, declared)

    def add_computed(self, name: str, declared: Feature) -> None:
        """Add a sum or a ratio of features that are there: its values are computed, after a look at those of the table.

        Its range is by default whatever the ranges of the others allow, because it must hold every row that an attack
        may make.
        """
        sources = {column.name: column for column in self.columns if column.group is None}
        column = Column(name, step=declared.step or None, unit=declared.unit, mutable=not declared.immutable,
                        change=declared.change, sum_of=declared.sum_of, ratio_of=declared.ratio_of,
                        at_most=declared.at_most)  # fmt: skip
        cells = self.sheet.column(name)
        if not all(source in sources for source in declared.sources):
            self.findings += [] if self.findings else list(relation_findings([*self.columns, column]))
            return
        if self._report_bad(name, cells, [not NUMBER.fullmatch(cell) for cell in cells], NOT_A_NUMBER):
            return
        ends = range_of_relation(column, [sources[source] for source in declared.sources]) or (0.0, 1.0)
        low, high = (end if own is None else own for own, end in zip((declared.low, declared.high), ends, strict=True))
        column = replace(column, low=low, high=high)
        findings = [*column.findings(), *relation_findings([*self.columns, column])]
        self.findings += findings
        if findings:
            return
        raw = [np.array([float(cell) for cell in self.sheet.column(source)]) for source in declared.sources]
        written = np.array([float(cell) for cell in cells])
        misfit = np.abs(_computed(declared, raw) - written) > MISFIT * column.range
        kind = "sum" if declared.sum_of else "ratio"
        if self._report_bad(name, cells, misfit, f"not the {kind} of {' and '.join(declared.sources)}"):
            return
        own = _computed(declared, [self._own(source) for source in declared.sources])
        own = own if column.step is None else low + ((own - low) / column.step).round() * column.step
        self.columns.append(column)
        self.values.append(((own - low) / column.range).clip(0.0, 1.0)[:, None])

    def in_order(self, names: Sequence[str]) -> None:
        """Bring columns in the order of the table, and look for values above their limits."""
        for column in self.columns:
            if column.at_most and any(other.name == column.at_most for other in self.columns):
                high, cells = self._own(column.at_most), self.sheet.column(column.name)
                over = self._own(column.name) > high + ROUNDING * column.range
                self._report_bad(column.name, cells, over, f"above {column.at_most}, as encoded")
        order = sorted(range(len(self.values)), key=lambda place: names.index(self._features()[place]))
        by_feature = {feature: [c for c in self.columns if c.feature == feature] for feature in self._features()}
        self.columns = [column for place in order for column in by_feature[self._features()[place]]]
        self.values = [self.values[place] for place in order]

    def _features(self) -> list[str]:
        return list(dict.fromkeys(column.feature for column in self.columns))

    def _own(self, name: str) -> Floats:
        """The values of an encoded number in its own unit, (N,)."""
        place = self._features().index(name)
        column = next(column for column in self.columns if column.feature == name)
        return column.low + column.range * self.values[place][:, 0]

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
            column = Column(name, group=name, mutable=not declared.immutable, cost=declared.cost,
                            change=declared.change, at_most=declared.at_most)  # fmt: skip
            self.findings += list(column.findings())
            self.columns += [replace(column, name=word) for word in categories]
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
        column = Column(name, low, high, step, not declared.immutable, unit=declared.unit, change=declared.change,
                        at_most=declared.at_most)  # fmt: skip
        if low == high and declared.low is None and declared.high is None and self.may_be_constant:
            self.columns.append(Column(name, low, low + 1.0, mutable=False))
            self.values.append(np.zeros((len(values), 1)))
            return
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
        others = f" (and in {len(rows) - 1} more rows: {self.sheet.counts}{'s' if len(rows) > 2 else ''} {more}"
        others += ", ...)" if len(rows) > SHOWN else ")"
        cell = cells[rows[0]] if len(cells[rows[0]]) <= LONGEST else f"{cells[rows[0]][:LONGEST]}..."
        self.findings.append(
            f"{name}, {self.sheet.counts} {line}: {cell!r} is {problem}{others if len(rows) > 1 else ''}"
        )
        return True


def _computed(declared: Feature, parts: Sequence[Floats]) -> Floats:
    """The sum or the ratio of numbers, (N,) each."""
    return np.asarray(np.sum(parts, axis=0) if declared.sum_of else parts[0] / parts[1])
