"""Tables independent of the output format: headers, and cells with sort keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from variate.records.rows import OverSeeds, RateRow
from variate.report.table import Grid
from variate.statistics.notation import percent, percent_interval, points, points_interval


@dataclass(frozen=True)
class TableCell:
    """A word or number, its interval or a remark in small print, and its sort key."""

    text: str
    small: str = ""
    value: float | None = None


NOTHING = TableCell("-")
Head = tuple[str, ...]  # the header, and what stands below it in small print


@dataclass(frozen=True)
class ReportTable:
    """A table.

    Attributes:
        heads: one header per column.
        lines: rows of cells, one cell per column.
        words: number of leading columns that hold words and are left-aligned.
    """

    heads: Sequence[Head]
    lines: Sequence[Sequence[TableCell]]
    words: int = 1


def rate_cell(rate: float, low: float, high: float, *, signed: bool = False) -> TableCell:
    """A rate in percent with its interval, or a difference in points."""
    if signed:
        return TableCell(points(rate), points_interval(low, high), rate)
    return TableCell(percent(rate), percent_interval(low, high), rate)


def row_cell(row: RateRow | None) -> TableCell:
    """A row's rate."""
    return NOTHING if row is None else rate_cell(row.rate, row.low, row.high)


def count_cell(value: float, small: str = "") -> TableCell:
    """A whole number with a thin space between thousands."""
    return TableCell(f"{value:,.0f}".replace(",", "\u202f"), small, value)


def grid_sheet(grids: Sequence[tuple[str, Grid]]) -> ReportTable:
    """The table of networks, deployments and attacks; for several runs, the first column is the run's number."""
    columns = list(dict.fromkeys(column for _, content in grids for column in content.columns))
    several = len(grids) > 1
    heads: list[Head] = [("run",)] if several else []
    heads += [("network",), ("deployment",)]
    for attack, detail, budget in columns:
        heads.append((attack, *(part for part in (*detail.split(", "), budget) if part)))
    lines = []
    for run, content in grids:
        first = [TableCell(run, value=float(run))] if several else []
        for network, deployment in content.lines:
            rows = [content.cells.get(((network, deployment), column)) for column in columns]
            lines.append([*first, TableCell(network), TableCell(deployment), *map(row_cell, rows)])
            for (label, word), over in content.seeds.get((network, deployment), {}).items():
                lines.append(
                    [*first, TableCell(label), TableCell(word), *(_seeds_cell(over.get(column)) for column in columns)]
                )
    return ReportTable(heads, lines, words=2 + several)


def plain(sheet: ReportTable) -> Iterable[list[str]]:
    """The lines as text, headers first."""
    yield [", ".join(head) for head in sheet.heads]
    for line in sheet.lines:
        yield [" ".join(part for part in (cell.text, cell.small) if part) for cell in line]


def _seeds_cell(over: OverSeeds | None) -> TableCell:
    """Mean over seeds, with standard deviation and interval in small print."""
    if over is None:
        return NOTHING
    mean, _, rest = over.percent.partition(" ")
    return TableCell(mean, rest, over.rate)
