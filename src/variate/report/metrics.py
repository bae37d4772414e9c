"""The metrics of the task, clean and under every attack, and what a random network keeps of its mean network's."""

from __future__ import annotations

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.rows import CLEAN
from variate.records.schema import MetricValue
from variate.report import single
from variate.report.sheet import NOTHING, Head, ReportTable, TableCell

Line = tuple[str, str, str]  # network, rule, metric
Column = tuple[str, str]  # attack or "minus NETWORK", and budget


def metric_sheet(records: Records) -> ReportTable | None:
    """One row for each network, rule and metric, one column for each attack; None without metrics."""
    claims = {claim.id: claim for claim in shown(records)}
    values = [line for line in records.metrics.values() if line.claim in claims]
    if not values:
        return None
    cells = {(_line(line, claims[line.claim]), _column(line, claims[line.claim])): _cell(line) for line in values}
    lines = list(dict.fromkeys(line for line, _ in cells))
    columns = sorted(dict.fromkeys(column for _, column in cells), key=_order)
    heads: list[Head] = [("network",), ("deployment",), ("metric",)]
    heads += [tuple(filter(None, column)) for column in columns]
    rows = [[*map(TableCell, line), *(cells.get((line, column), NOTHING) for column in columns)] for line in lines]
    return ReportTable(heads, rows, words=3)


def reasons(records: Records) -> list[str]:
    """Why each metric was chosen, one sentence each."""
    why = {line.metric: line.why for line in records.metrics.values() if line.why}
    return [f"{metric}: {reason}." for metric, reason in why.items()]


def _line(line: MetricValue, claim: Claim) -> Line:
    return claim.network, line.rule if claim.verdict_draws > 1 else "any", line.metric


def _column(line: MetricValue, claim: Claim) -> Column:
    if line.minus:
        return f"minus {line.minus}", CLEAN
    return (CLEAN, "") if claim.attack == CLEAN else (single.attack_words(claim), claim.budget or "")


def _order(column: Column) -> int:
    """Clean values first, then the differences to the twin, then attacks."""
    return 0 if column[0] == CLEAN else 1 if column[1] == CLEAN else 2


def _cell(line: MetricValue) -> TableCell:
    sign = "+" if line.minus else ""
    tone = ""
    if line.minus and line.better and not line.low <= 0 <= line.high:
        tone = "gain" if (line.value > 0) == (line.better == "high") else "loss"
    small = f"[{line.low:{sign}.3g}, {line.high:{sign}.3g}]"
    return TableCell(f"{line.value:{sign}.3g}", small, line.value, tone=tone)
