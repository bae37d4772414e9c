"""The verdict in sentences: what the intervals show, and what they do not."""

from __future__ import annotations

from variate.record import Records
from variate.report.table import study_rows
from variate.result import CLEAN, Row


def verdict(records: Records) -> list[str]:
    """Each random network's one-draw rate under its strongest attack, beside the best deterministic network's."""
    rows = [row for row in study_rows(records, "table") if row.attack != CLEAN and row.deployment in ("single", "any")]
    worst: dict[str, Row] = {}
    for row in rows:
        if row.network not in worst or row.rate < worst[row.network].rate:
            worst[row.network] = row
    plain = [row for row in worst.values() if row.deployment == "any"]
    best = max(plain, key=lambda row: row.rate, default=None)
    return [_sentence(row, best) for row in worst.values() if row.deployment == "single"] or [
        f"{_said(row)}." for row in plain
    ]


def _sentence(row: Row, best: Row | None) -> str:
    if best is None:
        return f"{_said(row)}."
    if row.low > best.high:
        relation = "the interval lies above it"
    elif row.high < best.low:
        relation = "the interval lies below it"
    else:
        relation = "the intervals overlap, so no difference is shown"
    return f"{_said(row)}; the best deterministic network, {best.network}, {best.percent} %: {relation}."


def _said(row: Row) -> str:
    averaged = f" averaged over {row.draws} draws" if row.draws > 1 and row.deployment != "any" else ""
    answered = "with one draw per query" if row.deployment == "single" else "with its one answer"
    return (
        f"Under {row.attack}{averaged} at {row.budget}, {row.network} is right {row.percent} % of the time {answered}"
    )
