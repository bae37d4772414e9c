"""A row of a table beside what an attack made of it: every feature in its own unit, the changed ones marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from variate.inputs.columns import Column, columns_of, groups_of
from variate.records.schema import Picture
from variate.report.attacked import Display

DIGITS = 4  # significant ones of a value, more where a change would not be seen


@dataclass(frozen=True)
class FeatureRow:
    """One feature of one example.

    Attributes:
        feature: its name.
        unit: what it is measured in; empty for categories and pure numbers.
        original, adversarial: its values, as people read them.
        changed: whether they differ.
        share: how far it moved, as a share of its range; 1 for another category.
    """

    feature: str
    unit: str
    original: str
    adversarial: str
    changed: bool
    share: float


@dataclass(frozen=True)
class AttackedRow:
    """One example of a table, before and after an attack: a line for each feature."""

    rows: list[FeatureRow]

    @property
    def changed(self) -> int:
        """How many features were changed."""
        return sum(row.changed for row in self.rows)


def attacked_row(picture: Picture) -> AttackedRow:
    """One example: 32-bit floats, shape (D,), and what is declared of the columns."""
    before, after = (np.frombuffer(bytes.fromhex(values), "<f4") for values in (picture.original, picture.adversarial))
    return AttackedRow(feature_rows(picture.details.get("features", ()), before.tolist(), after.tolist()))


def feature_rows(
    features: Sequence[Mapping[str, Any]], original: Sequence[float], adversarial: Sequence[float]
) -> list[FeatureRow]:
    """Every feature of an example before and after an attack.

    Args:
        features: what the data set says of its columns; without any they are numbers in [0, 1].
        original: a row in [0, 1], D values.
        adversarial: the same, attacked.

    Returns:
        One line for each feature, in the order of the table.
    """
    columns = columns_of(features) or tuple(Column(f"column {place}") for place in range(len(original)))
    lines = []
    for feature, places in groups_of(columns).items():
        before, after = ([row[place] for place in places] for row in (original, adversarial))
        own = [columns[place] for place in places]
        whole = _category(feature, own, before, after) if own[0].group else _number(own[0], before[0], after[0])
        lines.append(whole)
    return lines


def _category(feature: str, columns: Sequence[Column], before: Sequence[float], after: Sequence[float]) -> FeatureRow:
    old, new = (columns[max(range(len(row)), key=row.__getitem__)].name for row in (before, after))
    return FeatureRow(feature, "", old, new, old != new, float(old != new))


def _number(column: Column, before: float, after: float) -> FeatureRow:
    old, new = column.value(before), column.value(after)
    changed = abs(after - before) > 1e-7 if column.step is None else old != new
    digits = DIGITS
    while changed and f"{old:.{digits}g}" == f"{new:.{digits}g}" and digits < 9:
        digits += 1
    moved = abs(after - before) if changed else 0.0
    return FeatureRow(column.name, column.unit, _shown(old, digits), _shown(new, digits), changed, moved)


def _shown(value: float, digits: int) -> str:
    """So many significant digits, and never an exponent for a large whole number."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


DISPLAY = Display(
    title="Originals and adversarial rows",
    text="Every feature in its own unit; what was changed is marked, with how far it moved in percent of its range.",
    most=3,
    show=attacked_row,
)
