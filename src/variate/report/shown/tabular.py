"""Original and adversarial rows of a table: every feature in its own unit, changes marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from variate.inputs.columns import Column, columns_of, groups_of
from variate.records.schema import Picture
from variate.report.attacked import Display

DIGITS = 4  # significant digits of a value; more where a change would be invisible


@dataclass(frozen=True)
class FeatureRow:
    """One feature of one example.

    Attributes:
        feature: name of the feature.
        unit: its unit; empty for categories and dimensionless numbers.
        original, adversarial: its values as text.
        changed: whether the values differ.
        share: size of the change as a share of the feature's range; 1 for another category.
    """

    feature: str
    unit: str
    original: str
    adversarial: str
    changed: bool
    share: float


@dataclass(frozen=True)
class AttackedRow:
    """One row of a table before and after an attack, one line per feature."""

    rows: list[FeatureRow]

    @property
    def changed(self) -> int:
        """Number of changed features."""
        return sum(row.changed for row in self.rows)


def attacked_row(picture: Picture) -> AttackedRow:
    """Display of one example: 32-bit floats, shape (D,), and the declared columns."""
    before, after = (np.frombuffer(bytes.fromhex(values), "<f4") for values in (picture.original, picture.adversarial))
    return AttackedRow(feature_rows(picture.details.get("features", ()), before.tolist(), after.tolist()))


def feature_rows(
    features: Sequence[Mapping[str, Any]], original: Sequence[float], adversarial: Sequence[float]
) -> list[FeatureRow]:
    """Every feature of an example before and after an attack.

    Args:
        features: the data set's declared columns; if empty, columns are numbers in [0, 1].
        original: original row, D values in [0, 1].
        adversarial: adversarial row, D values in [0, 1].

    Returns:
        One line per feature, in the order of the table.
    """
    columns = columns_of(features) or tuple(Column(f"column {i}") for i in range(len(original)))
    lines = []
    for feature, indices in groups_of(columns).items():
        before, after = ([row[i] for i in indices] for row in (original, adversarial))
        own = [columns[i] for i in indices]
        line = _category(feature, own, before, after) if own[0].group else _number(own[0], before[0], after[0])
        lines.append(line)
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
    change = abs(after - before) if changed else 0.0
    return FeatureRow(column.name, column.unit, _text(old, digits), _text(new, digits), changed, change)


def _text(value: float, digits: int) -> str:
    """A number with the given significant digits; large whole numbers get no exponent."""
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


DISPLAY = Display(
    title="Originals and adversarial rows",
    text="Every feature in its own unit. Changes are marked, with their size in percent of the feature's range.",
    most=3,
    show=attacked_row,
)
