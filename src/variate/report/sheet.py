"""A table as every format shows it: heads, and cells that know what they are sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from variate.records.rows import OverSeeds, Row
from variate.report.table import Grid


@dataclass(frozen=True)
class Cell:
    """What stands in a table: a word or a number, its interval or a remark in small, and what it is sorted by."""

    text: str
    small: str = ""
    value: float | None = None


NOTHING = Cell("-")
Head = tuple[str, ...]  # the first part, and what stands below it in small


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        heads: one for each column.
        lines: cells, as many as heads.
        words: how many columns hold words; they are aligned to the left.
    """

    heads: Sequence[Head]
    lines: Sequence[Sequence[Cell]]
    words: int = 1


def rate_cell(rate: float, low: float, high: float, *, signed: bool = False) -> Cell:
    """A rate in percent with its interval, or a difference in points."""
    form = "{:+.1f}" if signed else "{:.1f}"
    return Cell(form.format(100 * rate), f"{form.format(100 * low)} to {form.format(100 * high)}", rate)


def row_cell(row: Row | None) -> Cell:
    """A row's rate."""
    return NOTHING if row is None else rate_cell(row.rate, row.low, row.high)


def count_cell(value: float, small: str = "") -> Cell:
    """A whole number with its thousands apart."""
    return Cell(f"{value:,.0f}".replace(",", "\u202f"), small, value)


def grid_sheet(grids: Sequence[tuple[str, Grid]]) -> Sheet:
    """The table of networks, deployments and attacks: of one run, or of several with a first column of numbers."""
    columns = list(dict.fromkeys(column for _, content in grids for column in content.columns))
    several = len(grids) > 1
    heads: list[Head] = [("run",)] if several else []
    heads += [("network",), ("deployment",)]
    for attack, detail, budget in columns:
        heads.append((attack, *(part for part in (*detail.split(", "), budget) if part)))
    lines = []
    for run, content in grids:
        first = [Cell(run, value=float(run))] if several else []
        for network, deployment in content.lines:
            known = [content.cells.get(((network, deployment), column)) for column in columns]
            lines.append([*first, Cell(network), Cell(deployment), *map(row_cell, known)])
            for (label, word), over in content.seeds.get((network, deployment), {}).items():
                lines.append([*first, Cell(label), Cell(word), *(_seeds_cell(over.get(column)) for column in columns)])
    return Sheet(heads, lines, words=2 + several)


def plain(sheet: Sheet) -> Iterable[list[str]]:
    """Lines of text, the heads first."""
    yield [", ".join(head) for head in sheet.heads]
    for line in sheet.lines:
        yield [f"{cell.text} [{cell.small}]" if cell.small else cell.text for cell in line]


def _seeds_cell(over: OverSeeds | None) -> Cell:
    """Mean over seeds, with its standard deviation and interval in small."""
    if over is None:
        return NOTHING
    mean, _, rest = over.percent.partition(" ")
    return Cell(mean, rest, over.rate)
