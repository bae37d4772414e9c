"""The table of a set of records: networks and deployments down, attacks across."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from rich import box
from rich.console import Console
from rich.table import Table

from variate.records.file import Records
from variate.records.groups import HIDDEN, deployments_of, notes, shown
from variate.records.rows import CLEAN, OverSeeds, RateRow, over_seeds, rows_of
from variate.records.schema import Claim

TABLES = {
    "table": "Right answers by network, deployment and attack",
    "twins": "Deterministic twins of the random networks",
}
LEGEND = "Right answers in percent, with the 95 % interval over examples and draws."
SEEDS = (
    "Lines of several seeds: mean ± standard deviation of the rates of networks that differ in their seed alone, with "
    "the 95 % t interval of the mean (degrees of freedom: seeds - 1), over trainings and on the same examples."
)
Heading = tuple[str, str, str]  # attack, what it averages over, budget
Line = tuple[str, str]  # network, deployment


@dataclass(frozen=True)
class Grid:
    """Rows of a table: (network, deployment) down, attacks across; ``cells`` holds what is known.

    ``seeds`` holds lines over the seeds of a network, each to stand below the last of that network's own lines.
    """

    lines: list[Line]
    columns: list[Heading]
    cells: dict[tuple[Line, Heading], RateRow]
    seeds: dict[Line, dict[Line, dict[Heading, OverSeeds]]] = field(default_factory=dict)


def grid(rows: Sequence[RateRow]) -> Grid:
    """Arrange rows: a line for each network and deployment, a column for each attack."""
    cells: dict[tuple[Line, Heading], RateRow] = {}
    for row in rows:
        cells[(row.network, row.deployment), heading(row)] = row
    lines = list(dict.fromkeys(line for line, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    return Grid(lines, columns, cells)


def heading(row: RateRow) -> Heading:
    """What stands above a column: the attack, the number of draws it averages over, the budget."""
    if row.attack == CLEAN:
        return (CLEAN, "", "")
    options = ", ".join(f"{value} {name}" for name, value in row.options.items() if name not in HIDDEN)
    draws = f"{row.draws} draw{'s' * (row.draws != 1)}" if row.draws else "no queries"
    return (row.attack, f"{options}, {draws}" if options else draws, row.budget or "")


def with_seeds(content: Grid, records: Records) -> Grid:
    """The same table with lines over the seeds of each network that was trained with several."""
    groups: dict[str, list[str]] = {}
    known = {claim.network: claim.group for claim in shown(records)}
    for network in dict.fromkeys(name for name, _ in content.lines):
        groups.setdefault(known.get(network) or network, []).append(network)
    below = {}
    for group, networks in groups.items():
        if len(networks) > 1:
            own = [line for line in content.lines if line[0] in networks]
            deployments = dict.fromkeys(deployment for _, deployment in own)
            label = f"{group}, {len(networks)} seeds"
            below[own[-1]] = {(label, word): _over_seeds(content, networks, word) for word in deployments}
    return replace(content, seeds=below)


def _over_seeds(content: Grid, networks: Sequence[str], deployment: str) -> dict[Heading, OverSeeds]:
    """One line: the columns that are known of every seed."""
    found = {}
    for column in content.columns:
        rows = [content.cells.get(((network, deployment), column)) for network in networks]
        rates = [row.rate for row in rows if row is not None]
        if len(rates) == len(networks):
            found[column] = over_seeds(rates)
    return found


def study_rows(records: Records, part: str) -> list[RateRow]:
    """The rows of one part of the records that are shown, in the order in which they were made."""
    rows = []
    for claim in shown(records, part):
        ways = deployments_of(records, claim)
        rows += [row for row in _rows(records, claim) if row.deployment in (*ways, "any")]
    return _spread(rows)


def shown_rows(records: Records, claims: Iterable[Claim]) -> list[RateRow]:
    """The rows of claims as a table shows them.

    A deterministic network is the same under every deployment and every number of attack draws: it gets one line, and
    its rate stands under each column that other networks have.
    """
    return _spread([row for claim in claims if records.examples.get(claim.id) for row in _rows(records, claim)])


def _rows(records: Records, claim: Claim) -> list[RateRow]:
    rows = rows_of(records, claim)
    return [replace(rows[0], deployment="any")] if _deterministic(claim) else rows


def print_rows(rows: Sequence[RateRow], title: str) -> None:
    """Rows as a table on standard output."""
    Console().print(_rich(grid(rows), title))


def tables(records: Records) -> list[tuple[str, Grid]]:
    """The tables of a file of records, with their titles."""
    named = [(name, study_rows(records, part)) for part, name in TABLES.items()]
    return [(name, grid(rows)) for name, rows in named if rows]


def print_study(records: Records) -> None:
    """The tables of a file of records on standard output."""
    console = Console()
    for run in records.runs[:1]:
        console.print(run.title, style="bold")
    for name, content in study_grids(records):
        console.print(_rich(content, name))
    console.print(_legend(records), style="dim")
    for note in notes(records):
        console.print(note)


def markdown(records: Records) -> str:
    """The tables of a file of records in Markdown."""
    found = [f"{name}:\n\n{_markdown(content)}" for name, content in study_grids(records)]
    return "\n\n".join([*found, _legend(records), *notes(records)])


def study_grids(records: Records) -> list[tuple[str, Grid]]:
    """The tables of a file of records with their lines over seeds, and their titles."""
    return records.once("grids", lambda: [(name, with_seeds(content, records)) for name, content in tables(records)])


def _legend(records: Records) -> str:
    return f"{LEGEND} {SEEDS}" if any(content.seeds for _, content in study_grids(records)) else LEGEND


def _markdown(content: Grid) -> str:
    heads = ["network", "deployment", *(", ".join(part for part in column if part) for column in content.columns)]
    rows = [heads, [":--", ":--", *("--:" for _ in content.columns)]]
    for line in content.lines:
        found = [content.cells.get((line, column)) for column in content.columns]
        rows.append([*line, *(row.percent if row else "-" for row in found)])
        for label, over in content.seeds.get(line, {}).items():
            rows.append([*label, *(over[column].percent if column in over else "-" for column in content.columns)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _rich(content: Grid, title: str) -> Table:
    budgets = {budget for _, _, budget in content.columns if budget}
    shared = budgets.pop() if len(budgets) == 1 else None  # said once, in the title
    table = Table(
        title=f"{title}, {shared}" if shared else title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("network", no_wrap=True)
    table.add_column("deployment", no_wrap=True)
    for attack, detail, budget in content.columns:
        parts = (attack, *detail.split(", "), "" if shared else budget)
        table.add_column("\n".join(part for part in parts if part), justify="right", overflow="fold")
    previous = None
    for line in content.lines:
        network, deployment = line
        if previous not in (None, network):
            table.add_section()
        found = [content.cells.get((line, column)) for column in content.columns]
        table.add_row(network if network != previous else "", deployment, *map(_cell, found))
        previous = network
        for number, ((label, word), over) in enumerate(content.seeds.get(line, {}).items()):
            table.add_row("" if number else label, word, *(_seeds_cell(over.get(c)) for c in content.columns))
    return table


def _cell(row: RateRow | None) -> str:
    return f"{100 * row.rate:.1f}\n{100 * row.low:.0f}-{100 * row.high:.0f}" if row else "-"


def _seeds_cell(over: OverSeeds | None) -> str:
    if over is None:
        return "-"
    ends = "" if over.interval is None else f"{100 * over.interval[0]:.0f}-{100 * over.interval[1]:.0f}"
    return f"{100 * over.rate:.1f}\n± {100 * over.std:.1f}\n{ends}"


def _deterministic(claim: Claim) -> bool:
    return claim.verdict_draws == 1


def _spread(rows: list[RateRow]) -> list[RateRow]:
    """Show a deterministic network's rate under each number of draws that another network was attacked with."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        if row.deployment != "any" and row.draws:
            known = numbers.setdefault((row.attack, str(row.options)), [])
            known += [row.draws] if row.draws not in known else []
    spread = []
    for row in rows:
        wanted = numbers.get((row.attack, str(row.options)), [row.draws]) if row.deployment == "any" else [row.draws]
        spread += [replace(row, draws=draws) for draws in wanted] if row.draws else [row]
    return spread
