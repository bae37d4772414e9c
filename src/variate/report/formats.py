"""Records as text: CSV with one line per rate, JSON, Markdown, and LaTeX tables."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from variate.records.file import Records
from variate.records.groups import deployments_of, notes, shown
from variate.records.rows import rows_of
from variate.report.cost import attack_cost, spent
from variate.report.gains import gains
from variate.report.paired import twins
from variate.report.proved import proved_markdown
from variate.report.sheet import ReportTable, TableCell, grid_sheet, markdown_of
from variate.report.table import legend_of, markdown, titled_grids

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip
COLUMNS = 8  # that fit on a page; wider tables are scaled down


def rates(records: Sequence[Records]) -> list[dict[str, Any]]:
    """Every rate shown, as one flat dict with its interval and the cost of its claim."""
    return [
        {"run": name, **asdict(row), "verdict_draws": claim.verdict_draws, **asdict(spent(one, claim))}
        for name, one in zip(names(records), records, strict=True)
        for claim in shown(one)
        for row in rows_of(one, claim)
        if row.deployment in deployments_of(one, claim)
    ]


def names(records: Sequence[Records]) -> list[str]:
    """The title of each set of records, with its number appended where titles are equal."""
    titles = [one.runs[0].title if one.runs else "records" for one in records]
    return [
        title if titles.count(title) == 1 else f"{title} ({number})" for number, title in enumerate(titles, start=1)
    ]


def as_json(records: Sequence[Records]) -> str:
    """``rates`` as one JSON document."""
    return json.dumps(rates(records), indent=2, default=str) + "\n"


def as_csv(records: Sequence[Records]) -> str:
    """``rates`` as CSV with a header; options and winners as JSON."""
    rows = rates(records)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["run"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        row | {name: json.dumps(row[name], default=str) for name in ("options", "winners")} for row in rows
    )
    return text.getvalue()


def as_markdown(records: Sequence[Records]) -> str:
    """The tables of each set of records, paired differences, what is proved, and the cost of its attacks."""
    parts = [
        part for one in records for part in (markdown(one), *_differences(one), proved_markdown(one), *_costs(one))
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _differences(records: Records) -> list[str]:
    sheets = {
        "Differences from the twins, one draw per query": twins(records),
        "Differences by deployment and over seeds": gains(records),
    }
    return [
        f"{title}: paired on the same examples, with the 95 % interval.\n\n{markdown_of(sheet)}"
        for title, sheet in sheets.items()
        if sheet is not None
    ]


def _costs(records: Records) -> list[str]:
    sheet = attack_cost(records)
    if sheet is None:
        return []
    return [f"Cost of the attacks: counts are means per example, seconds are totals.\n\n{markdown_of(sheet)}"]


def as_latex(records: Sequence[Records]) -> str:
    """A table for each set of records and part, with intervals; requires the packages booktabs and graphicx."""
    latex = [
        _latex(sheet, f"{run}: {title}", legend_of(one))
        for run, one in zip(names(records), records, strict=True)
        for title, content in titled_grids(one)
        if (sheet := grid_sheet([(run, content)])) is not None
    ]
    remarks = [escaped(note) for one in records for note in notes(one)]
    return "\n\n".join(["% \\usepackage{booktabs,graphicx}", *latex, *remarks]) + "\n"


def _latex(sheet: ReportTable, caption: str, legend: str) -> str:
    columns = "l" * sheet.words + "r" * (len(sheet.heads) - sheet.words)
    depth = max(map(len, sheet.heads))
    heads = [
        " & ".join(escaped(head[level]) if level < len(head) else "" for head in sheet.heads) + r" \\"
        for level in range(depth)
    ]
    lines = [*heads, r"\midrule"]
    previous = None
    for line in sheet.lines:
        if previous not in (None, line[0].text):
            lines.append(r"\addlinespace")
        previous = line[0].text
        lines.append(" & ".join(map(_latex_cell, line)) + r" \\")
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}"]
    if len(sheet.heads) > COLUMNS:
        body = [r"\resizebox{\textwidth}{!}{%", *body, "}"]
    whole = escaped(f"{caption}. {legend}")
    return "\n".join([r"\begin{table}", r"\centering", rf"\caption{{{whole}}}", *body, r"\end{table}"])


def _latex_cell(cell: TableCell) -> str:
    words = escaped(cell.text)
    return rf"{words} {{\scriptsize {escaped(cell.small)}}}" if cell.small else words


def escaped(text: str) -> str:
    """Text escaped for LaTeX."""
    return re.sub(r"[\\&%$#_{}~^±]", lambda match: SPECIAL[match[0]], text)
