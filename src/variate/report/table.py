"""The table of a set of records: one row per network and deployment, one column per attack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich import box
from rich.console import Console
from rich.table import Table

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import HIDDEN, deployments_of, notes, shown
from variate.records.rows import CLEAN, OverSeeds, RateRow, over_seeds, rows_of
from variate.report.single import measured
from variate.statistics.notation import percent, percent_range

TABLES = {
    "table": "Accuracy by network, deployment and attack",
    "twins": "Deterministic twins of the random networks",
}
LEGEND = "{} in percent, with the 95 % interval over examples and draws."
SEEDS = (
    "Rows over several seeds: mean ± standard deviation over networks that differ in their training seed alone, on the "
    "same examples, with the 95 % t interval of the mean (degrees of freedom: seeds - 1)."
)
WIDE = 10_000  # columns, more than any table needs
Heading = tuple[str, str, str]  # attack, its options and draws, budget
Line = tuple[str, str]  # network, deployment


@dataclass(frozen=True)
class Grid:
    """A table with one line per (network, deployment) and one column per attack; ``cells`` may have gaps.

    ``seeds`` holds the lines over the seeds of a network, keyed by the line that they follow.
    """

    lines: list[Line]
    columns: list[Heading]
    cells: dict[tuple[Line, Heading], RateRow]
    seeds: dict[Line, dict[Line, dict[Heading, OverSeeds]]] = field(default_factory=dict)


def grid(rows: Sequence[RateRow]) -> Grid:
    """Arrange rows in a table: one line per network and deployment, one column per attack."""
    random = {heading(row) for row in rows if row.deployment != "any"}
    cells: dict[tuple[Line, Heading], RateRow] = {}
    for row in rows:
        column = heading(row)
        if column not in random:  # the draws of a query mean nothing where every network is deterministic
            column = heading(row, count_draws=False)
        cells[(row.network, row.deployment), column] = row
    lines = list(dict.fromkeys(line for line, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    return Grid(lines, columns, cells)


def heading(row: RateRow, *, count_draws: bool = True) -> Heading:
    """The heading of a row's column: the attack, its options, its draws unless they do not count, and the budget."""
    if row.attack == CLEAN:
        return (CLEAN, "", "")
    words = [f"{value} {name}" for name, value in row.options.items() if name not in HIDDEN]
    if not row.draws:
        words.append("no queries")
    elif count_draws:
        words.append(f"{row.draws} draw{'s' * (row.draws != 1)}")
    return (row.attack, ", ".join(words), row.budget or "")


def with_seeds(content: Grid, records: Records) -> Grid:
    """The table with an added line for each network that was trained with several seeds."""
    groups: dict[str, list[str]] = {}
    group_of = {claim.network: claim.group for claim in shown(records)}
    for network in dict.fromkeys(name for name, _ in content.lines):
        groups.setdefault(group_of.get(network) or network, []).append(network)
    below = {}
    for group, networks in groups.items():
        if len(networks) > 1:
            own = [line for line in content.lines if line[0] in networks]
            deployments = dict.fromkeys(deployment for _, deployment in own)
            label = f"{group}, {len(networks)} seeds"
            below[own[-1]] = {(label, name): _over_seeds(content, networks, name) for name in deployments}
    return replace(content, seeds=below)


def _over_seeds(content: Grid, networks: Sequence[str], deployment: str) -> dict[Heading, OverSeeds]:
    """One line over seeds, with the columns that every seed has."""
    cells = {}
    for column in content.columns:
        rows = [content.cells.get(((network, deployment), column)) for network in networks]
        rates = [row.rate for row in rows if row is not None]
        if len(rates) == len(networks):
            cells[column] = over_seeds(rates)
    return cells


def study_rows(records: Records, part: str) -> list[RateRow]:
    """The rows shown of one part of the records, in the order they were made."""
    rows = []
    for claim in shown(records, part):
        deployments = deployments_of(records, claim)
        rows += [row for row in _rows(records, claim) if row.deployment in (*deployments, "any")]
    return _spread(rows)


def shown_rows(records: Records, claims: Iterable[Claim]) -> list[RateRow]:
    """The rows of claims as a table shows them.

    Deployments and attack draws make no difference to a deterministic network: it gets one line, and its rate is
    repeated in each column of the other networks.
    """
    return _spread([row for claim in claims if records.examples.get(claim.id) for row in _rows(records, claim)])


def _rows(records: Records, claim: Claim) -> list[RateRow]:
    rows = rows_of(records, claim)
    return [replace(rows[0], deployment="any")] if _deterministic(claim) else rows


def print_rows(rows: Sequence[RateRow], title: str) -> None:
    """Print rows as a table."""
    _print_grid(Console(), grid(rows), title)


def tables(records: Records) -> list[tuple[str, Grid]]:
    """The tables of a set of records, with their titles."""
    by_title = [(title, study_rows(records, part)) for part, title in TABLES.items()]
    return [(title, grid(rows)) for title, rows in by_title if rows]


def print_study(records: Records) -> None:
    """Print the tables of a set of records."""
    console = Console()
    for run in records.runs[:1]:
        console.print(run.title, style="bold")
    for title, content in titled_grids(records):
        _print_grid(console, content, title)
    console.print(_legend(records), style="dim")
    for note in notes(records):
        console.print(note)


def markdown(records: Records) -> str:
    """The tables of a set of records in Markdown."""
    parts = [f"{title}:\n\n{_markdown(content)}" for title, content in titled_grids(records)]
    return "\n\n".join([*parts, _legend(records), *notes(records)])


def study_grids(records: Records) -> list[tuple[str, Grid]]:
    """The tables of a set of records with lines over seeds, and their titles."""
    return records.once("grids", lambda: [(name, with_seeds(content, records)) for name, content in tables(records)])


def titled_grids(records: Records) -> list[tuple[str, Grid]]:
    """The same, with titles that say what is measured."""
    noun = measured(records).noun
    return [(titled(name, noun), content) for name, content in study_grids(records)]


def legend_of(*runs: Records) -> str:
    """What the numbers of the tables are, of one set of records or of several together."""
    return LEGEND.format(capitalized(measured(*runs).noun))


def titled(title: str, measure: str) -> str:
    """A title about accuracy, about what is measured instead."""
    return title.replace("Accuracy", capitalized(measure))


def capitalized(words: str) -> str:
    """The words with a capital at the beginning, and none lost inside."""
    return words[:1].upper() + words[1:]


def _legend(records: Records) -> str:
    legend = legend_of(records)
    return f"{legend} {SEEDS}" if any(content.seeds for _, content in study_grids(records)) else legend


def _markdown(content: Grid) -> str:
    heads = ["network", "deployment", *(", ".join(part for part in column if part) for column in content.columns)]
    rows = [heads, [":--", ":--", *("--:" for _ in content.columns)]]
    for line in content.lines:
        cells = [content.cells.get((line, column)) for column in content.columns]
        rows.append([*line, *(row.percent if row else "-" for row in cells)])
        for label, over in content.seeds.get(line, {}).items():
            rows.append([*label, *(over[column].percent if column in over else "-" for column in content.columns)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _rich(content: Grid, title: str) -> Table:
    budgets = {budget for _, _, budget in content.columns if budget}
    shared = budgets.pop() if len(budgets) == 1 else None  # shown once, in the title
    table = Table(
        title=f"{title}, {shared}" if shared else title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    lines = [*content.lines, *(line for below in content.seeds.values() for line in below)]
    for place, name in enumerate(("network", "deployment")):
        table.add_column(name, no_wrap=True, min_width=max(len(line[place]) for line in lines))
    for attack, detail, budget in content.columns:
        parts = (attack, *detail.split(", "), "" if shared else budget)
        words = "\n".join(part for part in parts if part)
        width = max(_width(content, (attack, detail, budget)), *map(len, words.split()))
        table.add_column(words, justify="right", min_width=width)
    previous = None
    for line in content.lines:
        network, deployment = line
        if previous not in (None, network):
            table.add_section()
        cells = [content.cells.get((line, column)) for column in content.columns]
        table.add_row(network if network != previous else "", deployment, *map(_cell, cells))
        previous = network
        for i, ((label, name), over) in enumerate(content.seeds.get(line, {}).items()):
            table.add_row("" if i else label, name, *(_seeds_cell(over.get(c)) for c in content.columns))
    return table


def _width(content: Grid, column: Heading) -> int:
    """The width in which no number of a column is folded."""
    cells = [_cell(row) for (_, own), row in content.cells.items() if own == column]
    below = [line for lines in content.seeds.values() for line in lines.values()]
    over = [_seeds_cell(line.get(column)) for line in below]
    return max(len(part) for text in (*cells, *over) for part in text.split("\n"))


def _print_grid(console: Console, content: Grid, title: str) -> None:
    """Print a table; where the terminal is too narrow for it, a list with one rate on each line."""
    table = _rich(content, title)
    if table.__rich_measure__(console, console.options.update(max_width=WIDE)).minimum <= console.width:
        console.print(table)
        return
    console.print(title, style="bold")
    for line in content.lines:
        cells = [(column, content.cells.get((line, column))) for column in content.columns]
        texts = {", ".join(filter(None, column)): _cell(row) for column, row in cells if row is not None}
        _print_list(console, line, texts)
        for label, over in content.seeds.get(line, {}).items():
            _print_list(console, label, {", ".join(filter(None, c)): _seeds_cell(cell) for c, cell in over.items()})


def _print_list(console: Console, line: Line, texts: Mapping[str, str]) -> None:
    """Print the cells of one line of a table, one below the other; numbers are never wrapped."""
    console.print(", ".join(line))
    for name, text in texts.items():
        console.print(f"  {text.replace(chr(10), ' ')}  {name}", soft_wrap=True, highlight=False)


def _cell(row: RateRow | None) -> str:
    if row is None:
        return "-"
    rate = f"{percent(row.rate)}\n{percent_range(row.low, row.high)}"
    return f"{rate}\n{row.examples} of {row.asked}" if row.unfinished else rate


def _seeds_cell(over: OverSeeds | None) -> str:
    if over is None:
        return "-"
    ends = "" if over.interval is None else percent_range(*over.interval)
    return f"{percent(over.rate)}\n± {percent(over.std)}\n{ends}"


def _deterministic(claim: Claim) -> bool:
    return claim.verdict_draws == 1


def _spread(rows: list[RateRow]) -> list[RateRow]:
    """Repeat a deterministic network's rate for each number of draws with which another network was attacked."""
    draws_of: dict[Heading, list[int]] = {}
    for row in rows:
        if row.deployment != "any" and row.draws:
            listed = draws_of.setdefault(heading(row, count_draws=False), [])
            listed += [row.draws] if row.draws not in listed else []
    spread = []
    for row in rows:
        own = heading(row, count_draws=False)
        columns = draws_of.get(own, [row.draws]) if row.deployment == "any" else [row.draws]
        spread += [replace(row, draws=draws) for draws in columns] if row.draws else [row]
    return spread
