"""The columns of a table as a network sees them: what each one means and whether it may be changed.

Every column lies in [0, 1]. A numeric feature is one column, its range (low, high) mapped to [0, 1]. A categorical
feature is a group of columns, one per category: one of them is 1 and the others are 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from variate.errors import UsageError
from variate.inputs.budget import Change

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
        change: whether an adversary may raise and lower a number (``both``), only raise it (``up``), or only lower it.
        sum_of: the numeric features that add up to this one, which follows them.
        ratio_of: the numeric features whose quotient this one is, which follows them.
        at_most: the numeric feature that this one never exceeds.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    step: float | None = None
    mutable: bool = True
    group: str | None = None
    unit: str = ""
    cost: float = 1.0
    change: Change = "both"
    sum_of: tuple[str, ...] = ()
    ratio_of: tuple[str, ...] = ()
    at_most: str = ""

    def __post_init__(self) -> None:
        """Lists of names, as files have them, become tuples."""
        for name in ("sum_of", "ratio_of"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def sources(self) -> tuple[str, ...]:
        """The features that this one is computed from; none for a feature with values of its own."""
        return self.sum_of or self.ratio_of

    @property
    def limits(self) -> list[str]:
        """What bounds its changes, in words."""
        ways = {"up": "may only grow", "down": "may only fall"}
        computed = [f"{'sum' if self.sum_of else 'ratio'} of {' and '.join(self.sources)}"] if self.sources else []
        return [
            *([] if self.mutable else ["immutable"]),
            *([ways[self.change]] if self.change in ways else []),
            *computed,
            *([f"at most {self.at_most}"] if self.at_most else []),
        ]

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
        if self.change not in get_args(Change):
            yield f"{self.feature} may change {self.change!r}: it must be {', '.join(get_args(Change))}"
        if self.group is not None and (self.change != "both" or self.sources or self.at_most):
            yield f"{self.feature} is categorical: only a number goes up or down, or depends on other features"


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
    findings += relation_findings(columns)
    if findings:
        raise UsageError("these are not features", findings=findings, expected=f"mappings of {', '.join(sorted(keys))}")
    return tuple(columns)


def columns_moved(details: object) -> int:
    """The largest number of columns that one change moves in a modality.

    A change of category moves two, by its declared cost. A change of a number moves those that are computed from it,
    which budgets do not count.
    """
    columns = [column for column in columns_of(getattr(details, "features", ())) if column.mutable]
    followers = Counter(source for column in columns for source in set(column.sources))
    changed = [followers[column.name] for column in columns if not column.sources]
    return max(1 + max(changed, default=0), 2 if any(column.group is not None for column in columns) else 1)


def groups_of(columns: Sequence[Column]) -> dict[str, list[int]]:
    """Indices of the columns of every feature, by its name, in order."""
    groups: dict[str, list[int]] = {}
    for index, column in enumerate(columns):
        groups.setdefault(column.feature, []).append(index)
    return groups


def relation_findings(columns: Sequence[Column]) -> Iterator[str]:
    """Problems of relations between features: other features than numbers, chains, ranges that do not fit."""
    numbers = {column.name: column for column in columns if column.group is None}
    for column in columns:
        if column.sum_of and column.ratio_of:
            yield f"{column.name} is declared as a sum and as a ratio"
            continue
        if column.sum_of and (len(set(column.sum_of)) < len(column.sum_of) or len(column.sum_of) < 2):
            yield f"{column.name} must be the sum of two or more different features"
        if column.ratio_of and len(set(column.ratio_of)) != 2:
            yield f"{column.name} must be the ratio of two different features"
        if column.sources and (column.change != "both" or not column.mutable):
            yield f"{column.name} follows {' and '.join(column.sources)}: declare there what may change"
        for other in (*column.sources, *([column.at_most] if column.at_most else [])):
            if other == column.name or other not in numbers:
                yield f"{column.name} depends on {other!r}, which is not another numeric feature"
            elif numbers[other].sources or (column.at_most and column.sources):
                yield f"{column.name} depends on {other}: relations must be between features that follow no others"
        if column.sources and all(name in numbers for name in column.sources):
            yield from _range_findings(column, [numbers[name] for name in column.sources])


def range_of_relation(column: Column, sources: Sequence[Column]) -> tuple[float, float] | None:
    """The lowest and highest value that a sum or a ratio can have; None for a ratio whose divisor may be 0."""
    if column.sum_of:
        return sum(source.low for source in sources), sum(source.high for source in sources)
    above, below = sources[0], sources[-1]
    if below.low <= 0 <= below.high:
        return None
    corners = [one / two for one in (above.low, above.high) for two in (below.low, below.high)]
    return min(corners), max(corners)


def _range_findings(column: Column, sources: Sequence[Column]) -> Iterator[str]:
    """A divisor that may be 0, or a range that does not hold every value of a sum or a ratio."""
    ends = range_of_relation(column, sources)
    if ends is None:
        yield f"{column.name} divides by {column.ratio_of[-1]}, which may be 0: its range must not hold 0"
        return
    slack = 1e-9 * max(1.0, *map(abs, ends))
    if column.low > ends[0] + slack or column.high < ends[1] - slack:
        yield (
            f"{column.name} runs from {column.low:g} to {column.high:g}, but what it is computed from gives "
            f"{ends[0]:g} to {ends[1]:g}"
        )


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
