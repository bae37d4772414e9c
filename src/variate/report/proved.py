"""What is proved of a network, beside what attacks left of it: a table, a figure and a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table

from variate.records.accepted import AcceptedRow, accepted_rows
from variate.records.certified import ProvedRow
from variate.records.file import Records
from variate.records.population import PopulationRow, population_rows
from variate.records.proofs import Proven, measured, proofs, sentence_of, strongest, without
from variate.records.rows import RateRow
from variate.report.figures import Figure
from variate.report.plot import Curve, CurvePoint, draw_curves
from variate.report.sheet import NOTHING, Head, ReportTable, TableCell, count_cell, markdown_of, rate_cell
from variate.statistics.notation import percent
from variate.statistics.rates import Rate

RIGHT = "accuracy, %"  # label of the vertical axis
LEGEND = (
    "Certified: whatever an attacker does within the budget, the deployment is right at least so often (the mean over "
    "the examples, with a 95 % interval). Attacked: what the strongest attack that was run has left. The truth is "
    "between the two."
)

BEYOND = 1.5  # attacks within larger budgets, as a multiple of the largest radius, are not in the figure
OUTCOMES = ("right", "wrong", "abstained")
ACCEPTED_LEGEND = (
    "certified-R answers only where its certificate at the received input reaches R, and else abstains. Measured: what "
    "each attack has left, in percent of all examples with 95 % intervals. Within R an attack can buy abstentions; a "
    "wrong answer that the infinite vote does not give at the original input appears with probability alpha at most."
)


def proved_table(records: Records) -> ReportTable | None:
    """Certified rates by network, deployment and radius; beside each the measured one, if there is one."""
    found, free = proofs(records), _uncertified(records)
    if not found and not free:
        return None
    asked = {(p.proved.norm, row.radius) for p in found for row in p.proved.rows}
    sizes = sorted(asked | {(row.proved.norm, row.proved.radius) for row in free})
    heads: list[Head] = [
        ("network",),
        ("deployment",),
        ("n", "examples"),
        *((f"{norm}:{radius:g}", "certified") for norm, radius in sizes),
    ]
    lines = []
    for proven in found:
        attacked = strongest(measured(records, proven))
        for deployment in dict.fromkeys(row.deployment for row in proven.proved.rows):
            cells = [
                _cell(proven, deployment, radius, attacked) if norm == proven.proved.norm else NOTHING
                for norm, radius in sizes
            ]
            name, asked_of = TableCell(proven.certificate.network), proven.certificate.asked
            lines.append([name, TableCell(deployment), count_cell(asked_of), *cells])
    for row in free:
        size = row.proved.norm, row.proved.radius
        cells = [_remarked(row.proved, row.measured) if size == column else NOTHING for column in sizes]
        lines.append([TableCell(row.bound.network), TableCell(row.proved.deployment), count_cell(row.examples), *cells])
    return ReportTable(heads, lines, words=2)


def _uncertified(records: Records) -> list[PopulationRow]:
    """What clean rates prove of networks and budgets for which there is no certificate."""
    certified = {(p.certificate.network, row.norm, row.radius) for p in proofs(records) for row in p.proved.rows}
    rows = population_rows(records)
    return [row for row in rows if (row.bound.network, row.proved.norm, row.proved.radius) not in certified]


def proved_sentences(records: Records) -> list[str]:
    """For every network, what is certified, for whom, on what it rests, and how often it abstains."""
    return [
        f"{proven.certificate.network}: {sentence_of(proven.certificate, proven.proved.norm)} The vote has no "
        f"certificate on {without(proven.proved.abstained, proven.certificate.asked, len(proven.proved.radii))}."
        for proven in proofs(records)
    ] + [row.sentence for row in _uncertified(records)]


def proved_figures(records: Records) -> list[Figure]:
    """For every network, certified rates against the radius with the measured ones in the same figure."""
    return [_figure(records, proven, number) for number, proven in enumerate(proofs(records), start=1)]


def print_proved(rows: Sequence[ProvedRow], title: str) -> None:
    """Print certified rates: one line for each deployment, one column for each radius."""
    cells = {(row.deployment, row.radius): _printed(row) for row in rows}
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("certified", no_wrap=True)
    radii = dict.fromkeys((row.norm, row.radius) for row in rows)
    for norm, radius in radii:
        table.add_column(f"{norm}:{radius:g}", justify="right", no_wrap=True)
    for deployment in dict.fromkeys(row.deployment for row in rows):
        line = [cells[deployment, radius] for _, radius in radii]
        table.add_row(deployment, *(f"{cell.text}\n{cell.small}" for cell in line))
    Console().print(table)


def proved_markdown(records: Records) -> str | None:
    """The tables of certified rates, and of right or abstain, with their sentences in Markdown."""
    sheet, accepted = proved_table(records), accepted_table(accepted_rows(records))
    parts = [] if sheet is None else [markdown_of(sheet), LEGEND, *proved_sentences(records)]
    parts += [] if accepted is None else [markdown_of(accepted), ACCEPTED_LEGEND]
    return "\n\n".join(parts) or None


def _printed(row: ProvedRow) -> TableCell:
    cell = rate_cell(row.rate, row.low, row.high)
    return cell if row.wrong is None else replace(cell, small=f"{cell.small}\nwrong <= {percent(row.wrong)}")


def accepted_table(rows: Sequence[AcceptedRow]) -> ReportTable | None:
    """Right, wrong and abstained by network, deployment and attack."""
    if not rows:
        return None
    heads: list[Head] = [("network",), ("deployment",), ("attack",), ("n", "examples")]
    heads += [(name,) for name in OUTCOMES]
    lines = [
        [
            TableCell(row.network),
            TableCell(row.deployment),
            _attack_cell(row),
            count_cell(row.examples),
            *(rate_cell(rate.rate, rate.low, rate.high) for rate in _three(row)),
        ]
        for row in rows
    ]
    return ReportTable(heads, lines, words=3)


def print_accepted(rows: Sequence[AcceptedRow]) -> None:
    """Print right, wrong and abstained: a table for each deployment, a line for each attack."""
    for deployment in dict.fromkeys(row.deployment for row in rows):
        own = [row for row in rows if row.deployment == deployment]
        title = f"{deployment}, {own[0].examples} examples"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("attack")
        for name in OUTCOMES:
            table.add_column(name, justify="right", no_wrap=True)
        for row in own:
            cells = [_attack_cell(row), *(rate_cell(rate.rate, rate.low, rate.high) for rate in _three(row))]
            table.add_row(*("\n".join(filter(None, (cell.text, cell.small))) for cell in cells))
        Console().print(table)


def _attack_cell(row: AcceptedRow) -> TableCell:
    words = ", ".join(f"{name}={value}" for name, value in row.options.items())
    return TableCell(f"{row.attack} within {row.budget}" if row.budget else row.attack, words)


def _three(row: AcceptedRow) -> tuple[Rate, Rate, Rate]:
    return row.outcomes.right, row.outcomes.wrong, row.outcomes.abstained


def _cell(proven: Proven, deployment: str, radius: float, attacked: Mapping[tuple[str, float], RateRow]) -> TableCell:
    row = proven.row(deployment, radius)
    if row is None:
        return NOTHING
    return _remarked(row, attacked.get((deployment, radius)))


def _remarked(row: ProvedRow, attacked: RateRow | None) -> TableCell:
    """A certified rate, and in small print the largest rate of wrong answers and what an attack has left."""
    cell = rate_cell(row.rate, row.low, row.high)
    remarks = [cell.small]
    if row.wrong is not None:
        remarks.append(f"wrong at most {percent(row.wrong)}")
    if attacked is not None:
        remarks.append(f"attacked {percent(attacked.rate)}")
    return TableCell(cell.text, "; ".join(remarks), cell.value)


def _figure(records: Records, proven: Proven, number: int) -> Figure:
    attacked = strongest(measured(records, proven))
    rows = proven.proved.curve
    deployments = list(dict.fromkeys(row.deployment for row in rows))
    largest = max(row.radius for row in (*rows, *proven.proved.rows))
    curves = [
        Curve(f"{name}, certified", [_point(row) for row in rows if row.deployment == name], color)
        for color, name in enumerate(deployments)
    ]
    for color, name in enumerate(deployments):
        points = [
            CurvePoint(radius, 100 * row.rate, 100 * row.low, 100 * row.high)
            for (deployment, radius), row in sorted(attacked.items(), key=lambda item: item[0][1])
            if deployment == name and radius <= BEYOND * largest
        ]
        if points:
            curves.append(Curve(f"{name}, attacked", points, color, dashed=True))
    title = f"Proved and measured: {proven.certificate.network}"
    numbers = ReportTable(
        [("deployment",), (f"radius, {proven.proved.norm}",), ("certified",)],
        [[TableCell(row.deployment), TableCell(f"{row.radius:g}", value=row.radius), _rate(row)] for row in rows],
    )
    drawing = draw_curves(
        curves,
        name=title,
        across=f"radius ({proven.proved.norm})",
        up=RIGHT,
        log=False,
        ticks=_ticks(max(row.radius for row in rows)),
    )
    return Figure(f"proved-{number}", title, "", drawing, numbers)


def _ticks(most: float) -> list[float]:
    """Round numbers from 0, eight at most, up to the largest radius."""
    power = 10.0 ** math.floor(math.log10(most)) if most > 0 else 1.0
    step = next(power * factor for factor in (0.1, 0.2, 0.5, 1.0, 2.0) if most / (power * factor) < 8)
    return [round(step * i, 10) for i in range(int(most / step) + 1)]


def _point(row: ProvedRow) -> CurvePoint:
    return CurvePoint(row.radius, 100 * row.rate, 100 * row.low, 100 * row.high)


def _rate(row: ProvedRow) -> TableCell:
    return rate_cell(row.rate, row.low, row.high)
