"""Tables independent of the output format: headers, and cells with sort keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from variate.records.rows import CLEAN, OverSeeds, RateRow
from variate.report.table import Grid, Heading, Line
from variate.statistics.notation import percent, percent_interval, points, points_interval


@dataclass(frozen=True)
class TableCell:
    """One cell of a table.

    Attributes:
        text: a word or number.
        small: its interval or a remark, in small print; parts separated by "; " stand below one another.
        value: its sort key.
        share: a rate in [0, 1], drawn as a bar behind the number.
        note: a second remark: the winning attack of a suite, or how many examples an unfinished attack has judged.
        lowest: whether it is the lowest rate of its row within its budget.
        tone: ``gain`` or ``loss`` for a difference whose interval excludes zero.
    """

    text: str
    small: str = ""
    value: float | None = None
    share: float | None = None
    note: str = ""
    lowest: bool = False
    tone: str = ""


REPEATED = "survive"  # the deployments that answer a repeated query
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
    """A row's rate, with a bar, and the winner of a suite."""
    if row is None:
        return NOTHING
    cell = rate_cell(row.rate, row.low, row.high)
    return replace(cell, share=row.rate, note=row.unfinished or row.winner)


def count_cell(value: float, small: str = "") -> TableCell:
    """A whole number with a thin space between thousands."""
    return TableCell(f"{value:,.0f}".replace(",", "\u202f"), small, value)


def grid_sheet(grids: Sequence[tuple[str, Grid]], *, repeated: bool | None = None) -> ReportTable | None:
    """The table of networks, deployments and attacks, the strongest attack first; None without such deployments.

    Args:
        grids: the grid of each run, with its number; if there are several, the first column is that number.
        repeated: only deployments that answer a repeated query (``survive-N``), or only the others; None for all.
    """
    several = len(grids) > 1
    kept = [(run, content, [line for line in content.lines if _kept(line, repeated)]) for run, content in grids]
    lines = [line for _, _, own in kept for line in own]
    columns = _strongest_first(grids, set(lines))
    heads: list[Head] = [("run",)] if several else []
    heads += [("network",), ("deployment",), ("n", "examples")]
    heads += [(attack, *filter(None, (*detail.split(", "), budget))) for attack, detail, budget in columns]
    cells = [
        [*([TableCell(run, value=float(run))] if several else []), *row]
        for run, content, own in kept
        for line in own
        for row in _rows(content, line, columns)
    ]
    return ReportTable(heads, cells, words=2 + several) if cells else None


def _kept(line: Line, repeated: bool | None) -> bool:
    return repeated is None or line[1].startswith(REPEATED) == repeated


def _rows(content: Grid, line: Line, columns: Sequence[Heading]) -> Iterator[list[TableCell]]:
    """The cells of a line of a grid, and below them those over the seeds of its network."""
    rows = [content.cells.get((line, column)) for column in columns]
    counts = sorted({row.examples for row in rows if row is not None})
    examples = TableCell(" to ".join(map(str, dict.fromkeys([counts[0], counts[-1]]))), value=counts[-1])
    lowest = _lowest([row.rate if row is not None else None for row in rows], columns)
    marked = [replace(row_cell(row), lowest=i in lowest) for i, row in enumerate(rows)]
    yield [*map(TableCell, line), examples, *marked]
    for label, over in content.seeds.get(line, {}).items():
        yield [*map(TableCell, label), examples, *(_seeds_cell(over.get(column)) for column in columns)]


def _lowest(rates: Sequence[float | None], columns: Sequence[Heading]) -> set[int]:
    """The columns with the lowest rate of each budget under which the attacks on a row differ."""
    by_budget: dict[str, dict[int, float]] = {}
    for i, (rate, column) in enumerate(zip(rates, columns, strict=True)):
        if rate is not None and column[0] != CLEAN:
            by_budget.setdefault(column[2], {})[i] = rate
    return {min(own, key=own.__getitem__) for own in by_budget.values() if min(own.values()) < max(own.values())}


def _strongest_first(grids: Sequence[tuple[str, Grid]], lines: set[Line]) -> list[Heading]:
    """The columns that the lines have: clean first, then budget by budget, the attack that leaves the least first.

    Attacks are compared on the lines that have them, each by its distance from the mean of its line and budget.
    """
    distances: dict[Heading, list[float]] = {}
    for _, content in grids:
        for line in lines:
            by_budget: dict[str, dict[Heading, float]] = {}
            for column in content.columns:
                if (row := content.cells.get((line, column))) is not None:
                    by_budget.setdefault(column[2], {})[column] = row.rate
            for rates in by_budget.values():
                for column, rate in rates.items():
                    distances.setdefault(column, []).append(rate - fmean(rates.values()))
    columns = [column for column in dict.fromkeys(c for _, g in grids for c in g.columns) if column in distances]
    budgets = list(dict.fromkeys(column[2] for column in columns))
    return sorted(columns, key=lambda c: (c[0] != CLEAN, budgets.index(c[2]), fmean(distances[c])))


def markdown_of(sheet: ReportTable) -> str:
    """A table in Markdown."""
    heads, *lines = plain(sheet)
    rows = [heads, [":--"] * sheet.words + ["--:"] * (len(heads) - sheet.words), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


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
