"""The columns of a table as a network sees them: what each one means and whether it may be changed.

Every column lies in [0, 1]. A numeric feature is one column, its range (low, high) mapped to [0, 1]. A categorical
feature is a group of columns, one per category: one of them is 1 and the others are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from variate.errors import UsageError

MOST_STEPS = 1_000_000  # in a feature's range: float32 cannot distinguish more


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: name of a numeric feature or of a category.
        low, high: the values mapped to 0 and 1, in the feature's own unit.
        step: spacing of the values of a discrete feature, such as 1; None for a continuous one.
        mutable: whether an adversary may change it.
        group: the categorical feature that a category belongs to; None for a numeric feature.
        unit: its unit of measurement, for display.
        cost: share of a budget that a change of category takes, in (0, 1]; 1 equals the whole range of a feature.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    mutable: bool = True
    group: str | None = None
    unit: str = ""
    cost: float = 1.0

    @property
    def feature(self) -> str:
        """The feature that the column belongs to."""
        return self.name if self.group is None else self.group

    @property
    def range(self) -> float:
        """The highest value minus the lowest."""
        return self.high - self.low

    def value(self, scaled: float) -> float:
        """Convert a value in [0, 1] to the feature's own unit."""
        own = self.low + scaled * self.range
        return own if self.step is None else self.low + round((own - self.low) / self.step) * self.step

    def as_json(self) -> dict[str, Any]:
        """As JSON values; defaults are omitted."""
        defaults = asdict(Column(self.name))
        return {key: value for key, value in asdict(self).items() if key == "name" or value != defaults[key]}

    def findings(self) -> Iterator[str]:
        """Problems of the declaration."""
        if not self.low < self.high:
            yield f"{self.feature} has no range: low is {self.low:g}, high is {self.high:g}"
        elif self.step is not None:
            steps = self.range / self.step if self.step > 0 else 0.0
            if steps > MOST_STEPS or abs(steps - round(steps)) > 1e-6 * max(1.0, steps) or round(steps) < 1:
                yield (
                    f"{self.feature} cannot go from {self.low:g} to {self.high:g} in steps of {self.step:g}: "
                    f"the range must be 1 to {MOST_STEPS:,} whole steps"
                )
        if not 0 < self.cost <= 1:
            yield f"{self.feature} costs {self.cost:g} per change: the cost must be above 0 and at most 1"


def columns_of(declared: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Build columns from the details of a data set. Raises ``UsageError`` with every finding."""
    keys = {field.name for field in fields(Column)}
    findings = []
    columns = []
    for index, declaration in enumerate(declared):
        odd = sorted(set(declaration) - keys)
        if odd or not isinstance(declaration.get("name"), str):
            findings.append(f"column {index} has {'no name' if not odd else 'unknown keys: ' + ', '.join(odd)}")
            continue
        columns.append(Column(**declaration))
        findings += columns[-1].findings()
    findings += _group_findings(columns)
    if findings:
        raise UsageError("these are not features", findings=findings, expected=f"mappings of {', '.join(sorted(keys))}")
    return tuple(columns)


def changes_categories(details: object) -> bool:
    """Whether a modality has categories that may change: such a change moves two columns, by its declared cost."""
    columns = columns_of(getattr(details, "features", ()))
    return any(column.group is not None and column.mutable for column in columns)


def groups_of(columns: Sequence[Column]) -> dict[str, list[int]]:
    """Indices of the columns of every feature, by its name, in order."""
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.feature, []).append(index)
    return groups


def _group_findings(columns: Sequence[Column]) -> Iterator[str]:
    """Problems between columns: duplicate features, incomplete or inconsistent categories."""
    for feature, indices in groups_of(columns).items():
        members = [columns[index] for index in indices]
        if any(column.group is None for column in members):
            if len(members) > 1:
                yield f"{feature} is declared {len(members)} times"
            continue
        if indices != list(range(indices[0], indices[0] + len(indices))) or len(indices) < 2:
            yield f"{feature} needs at least two categories, in adjacent columns"
        if len({(c.low, c.high, c.step, c.mutable, c.cost) for c in members}) > 1 or (
            members[0].low,
            members[0].high,
        ) != (0, 1):
            yield f"the categories of {feature} differ in more than their names, or do not run from 0 to 1"
