"""The columns of a table as a network sees them: what each stands for, and what of it may be changed.

Every column lies in [0, 1]. A numeric feature is one column, its range (low, high) mapped onto [0, 1]; a categorical
feature is a group of columns, one for each category, of which one is 1 and the others are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from variate.errors import UsageError

MOST_STEPS = 1_000_000  # of a feature's range: float32 tells no more apart


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: of a numeric feature, or of a category.
        low, high: the values that stand at 0 and at 1, in the feature's own unit.
        step: the distance between two values of a feature that is counted, such as 1; None for any value.
        mutable: whether an adversary may change it.
        group: the categorical feature that the category belongs to; None for a numeric feature.
        unit: what it is measured in, for people.
        cost: how much of a budget a change of category takes, in (0, 1]; 1 is as much as a whole range.
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
        """From the lowest value to the highest."""
        return self.high - self.low

    def value(self, scaled: float) -> float:
        """A value in the feature's own unit, of one in [0, 1]."""
        own = self.low + scaled * self.range
        return own if self.step is None else self.low + round((own - self.low) / self.step) * self.step

    def as_json(self) -> dict[str, Any]:
        """As JSON can hold it, without what is as usual."""
        usual = asdict(Column(self.name))
        return {key: value for key, value in asdict(self).items() if key == "name" or value != usual[key]}

    def findings(self) -> Iterator[str]:
        """What is wrong with the declaration."""
        if not self.low < self.high:
            yield f"{self.feature} has no range: low is {self.low:g}, high is {self.high:g}"
        elif self.step is not None:
            steps = self.range / self.step if self.step > 0 else 0.0
            if steps > MOST_STEPS or abs(steps - round(steps)) > 1e-6 * max(1.0, steps) or round(steps) < 1:
                yield (
                    f"{self.feature} cannot go from {self.low:g} to {self.high:g} in steps of {self.step:g}: "
                    f"1 to {MOST_STEPS:,} whole steps are needed"
                )
        if not 0 < self.cost <= 1:
            yield f"{self.feature} costs {self.cost:g} a change: more than 0 and at most 1 is needed"


def columns_of(declared: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Columns from what a data set's details hold of them. Raises ``UsageError`` with every finding."""
    known = {field.name for field in fields(Column)}
    findings = []
    columns = []
    for number, one in enumerate(declared):
        odd = sorted(set(one) - known)
        if odd or not isinstance(one.get("name"), str):
            findings.append(f"column {number} has {'no name' if not odd else 'unknown keys: ' + ', '.join(odd)}")
            continue
        columns.append(Column(**one))
        findings += columns[-1].findings()
    findings += _apart(columns)
    if findings:
        raise UsageError("these are no features", findings=findings, expected=f"mappings of {', '.join(sorted(known))}")
    return tuple(columns)


def groups_of(columns: Sequence[Column]) -> dict[str, list[int]]:
    """The columns of every feature, by its name, in order."""
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        groups.setdefault(column.feature, []).append(place)
    return groups


def _apart(columns: Sequence[Column]) -> Iterator[str]:
    """What is wrong with features beside one another."""
    for feature, places in groups_of(columns).items():
        own = [columns[place] for place in places]
        if any(column.group is None for column in own):
            if len(own) > 1:
                yield f"{feature} is declared {len(own)} times"
            continue
        if places != list(range(places[0], places[0] + len(places))) or len(places) < 2:
            yield f"{feature} needs two categories or more, side by side"
        if len({(c.low, c.high, c.step, c.mutable, c.cost) for c in own}) > 1 or (own[0].low, own[0].high) != (0, 1):
            yield f"the categories of {feature} differ in more than their names, or do not run from 0 to 1"
