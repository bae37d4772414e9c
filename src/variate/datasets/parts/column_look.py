"""What the columns of a table are taken for, and the cells that do not fit, whether or not the table can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from variate.datasets.parts.csv import NUMBER, Sheet, is_missing
from variate.datasets.parts.declared import Declaration, Feature
from variate.datasets.parts.encoder import WHOLE, is_categorical
from variate.inputs.columns import Column, columns_of, groups_of

SHOWN = 5  # odd cells of a column, and its most frequent categories
LONGEST = 30  # characters of a cell


@dataclass(frozen=True)
class ColumnLook:
    """What one column is taken for.

    Attributes:
        name: its name.
        taken_for: ``number``, ``whole number``, ``category``, ``label``, ``split``, or ``left out``.
        values: the range of its numbers, or its most frequent values.
        distinct: number of different values; None if the cells are not known.
        missing: number of cells without a value.
        odd: cells that are not what the column is taken for, with their places.
    """

    name: str
    taken_for: str
    values: str
    distinct: int | None = None
    missing: int = 0
    odd: tuple[str, ...] = ()


def columns_of_sheet(sheet: Sheet, declared: Declaration) -> list[ColumnLook]:
    """What every column of a file is taken for, as it is declared or else as its cells are written."""
    labels = declared.label_columns(sheet.names)
    looks = []
    for name in sheet.names:
        cells = sheet.column(name)
        there = [cell for cell in cells if not is_missing(cell)]
        if name in (*labels, declared.split, *declared.drop):
            use = "label" if name in labels else "split" if name == declared.split else "left out"
            looks.append(ColumnLook(name, use, _most(there), len(set(there)), len(cells) - len(there)))
        else:
            looks.append(_feature(name, sheet, there, declared.features.get(name, Feature())))
    return looks


def columns_of_features(features: Sequence[Mapping[str, Any]]) -> list[ColumnLook]:
    """What the columns of encoded rows are, from the description that their data set keeps."""
    columns = columns_of(features)
    looks = []
    for name, indices in groups_of(columns).items():
        column = columns[indices[0]]
        fixed = "".join(f", {limit}" for limit in column.limits)
        if column.group is None:
            use = "whole number" if column.step == 1 else "number"
            unit = f" {column.unit}" if column.unit else ""
            steps = f" in steps of {column.step:g}" if column.step not in (None, 1) else ""
            looks.append(ColumnLook(name, use, f"{column.low:g} to {column.high:g}{unit}{steps}{fixed}"))
        else:
            words = [columns[index].name for index in indices]
            looks.append(ColumnLook(name, "category", _listed(words) + fixed, len(words)))
    return looks


def _feature(name: str, sheet: Sheet, there: Sequence[str], declared: Feature) -> ColumnLook:
    missing = [place for place, cell in zip(sheet.lines, sheet.column(name), strict=True) if is_missing(cell)]
    odd = [f"{sheet.counts} {missing[0]}: no value"] if missing else []
    if there and not is_categorical(there, declared):
        numbers = [float(cell) for cell in there if NUMBER.fullmatch(cell)]
        cells = zip(sheet.lines, sheet.column(name), strict=True)
        wrong = [(place, cell) for place, cell in cells if not is_missing(cell) and not NUMBER.fullmatch(cell)]
        odd += [f"{sheet.counts} {place}: {cell[:LONGEST]!r}" for place, cell in wrong[:SHOWN]]
        odd += [f"and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        whole = all(map(WHOLE.fullmatch, (cell for cell in there if NUMBER.fullmatch(cell))))
        values = f"{min(numbers):g} to {max(numbers):g}" if numbers else "no numbers"
        use = "whole number" if whole else "number"
        values += "".join(f", {limit}" for limit in _limits(name, declared))
        return ColumnLook(name, use, values, len(set(there)), len(missing), tuple(odd))
    unknown = [cell for cell in there if declared.categories and cell not in declared.categories]
    odd += [f"not declared: {cell[:LONGEST]!r}" for cell in dict.fromkeys(unknown)][:SHOWN]
    return ColumnLook(name, "category", _most(there), len(set(there)), len(missing), tuple(odd))


def _limits(name: str, declared: Feature) -> list[str]:
    """What bounds the changes of a number, in words."""
    return Column(
        name,
        mutable=not declared.immutable,
        change=declared.change,
        sum_of=declared.sum_of,
        ratio_of=declared.ratio_of,
        at_most=declared.at_most,
    ).limits


def _most(cells: Sequence[str]) -> str:
    return _listed([cell[:LONGEST] for cell, _ in Counter(cells).most_common()])


def _listed(words: Sequence[str]) -> str:
    more = f", and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more if words else "nothing"
