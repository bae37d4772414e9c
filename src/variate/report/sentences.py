"""The verdict in sentences: what the intervals show, and what they do not."""

from __future__ import annotations

from variate.record import Records
from variate.report.table import study_rows
from variate.result import CLEAN, Row


def verdict(records: Records) -> list[str]:
    """Each random network's one-draw rate under its strongest attack, beside the best deterministic network's.

    Strongest and best within one budget and one data set: others say nothing of it.
    """
    rows = [row for row in study_rows(records, "table") if row.attack != CLEAN and row.deployment in ("single", "any")]
    worst: dict[tuple[str, str | None], Row] = {}
    for row in rows:
        key = row.network, row.budget
        if key not in worst or row.rate < worst[key].rate:
            worst[key] = row
    best: dict[tuple[str | None, str | None], Row] = {}
    for row in worst.values():
        setting = row.budget, _data(records, row)
        if row.deployment == "any" and (setting not in best or row.rate > best[setting].rate):
            best[setting] = row
    return [
        _sentence(row, best.get((row.budget, _data(records, row))))
        for row in worst.values()
        if row.deployment == "single"
    ] or [f"{_said(row)}." for row in worst.values()]


def _data(records: Records, row: Row) -> str | None:
    described = records.networks.get(row.network)
    return described.training.get("data") if described is not None else None


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
