"""The table of black-box attackers: how many malicious examples evade within how many queries."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from variate.records.evaded import Evaded, evaded
from variate.records.file import Records
from variate.report.sheet import Head, ReportTable, TableCell, rate_cell
from variate.statistics.notation import percent
from variate.statistics.rates import Rate


def evaded_sheet(records: Records) -> ReportTable | None:
    """One row for each network, budget and attacker, the strongest attacker first; None without any."""
    found = evaded(records)
    if not found:
        return None
    rows = [[*_words(row, row.network), *map(_cell, (row.missed, *row.within.values()))] for row in found]
    return ReportTable(_heads(found), rows, words=4)


def evaded_over_seeds(records: Records) -> ReportTable | None:
    """The same for networks that differ in their seed alone: mean and standard deviation over seeds, in percent."""
    groups: dict[tuple[str, ...], list[Evaded]] = {}
    for row in evaded(records):
        groups.setdefault((row.group or row.network, row.budget, _attacker(row)), []).append(row)
    if not groups:
        return None
    order = list(dict.fromkeys(key[:2] for key in groups))
    ranked = sorted(groups.items(), key=lambda item: (order.index(item[0][:2]), _mean_rank(item[1])))
    rows = []
    for (name, *_), rows_of_seeds in ranked:
        rates = zip(*((row.missed, *row.within.values()) for row in rows_of_seeds), strict=True)
        rows.append([*_words(rows_of_seeds[0], name), *(_spread([rate.rate for rate in own]) for own in rates)])
    return ReportTable(_heads([rows_of_seeds[0] for _, rows_of_seeds in ranked]), rows, words=4)


def _heads(found: Sequence[Evaded]) -> list[Head]:
    counts = found[0].within
    return [("network",), ("budget",), ("attack",), ("sees",), ("no attack", "evade, %"),
            *((f"{k:,} queries", "evade, %") for k in counts)]  # fmt: skip


def _words(row: Evaded, name: str) -> list[TableCell]:
    return [TableCell(name), TableCell(row.budget), TableCell(_attacker(row)), TableCell(row.access)]


def _attacker(row: Evaded) -> str:
    options = ", ".join(f"{value} {name}" for name, value in row.options.items())
    return f"{row.attack} ({options})" if options else row.attack


def _cell(rate: Rate) -> TableCell:
    return rate_cell(rate.rate, rate.low, rate.high)


def _mean_rank(rows: Sequence[Evaded]) -> tuple[float, ...]:
    return tuple(fmean(ranks) for ranks in zip(*(row.rank for row in rows), strict=True))


def _spread(rates: Sequence[float]) -> TableCell:
    deviation = f"± {percent(stdev(rates))}" if len(rates) > 1 else ""
    return TableCell(percent(fmean(rates)), deviation, fmean(rates))
