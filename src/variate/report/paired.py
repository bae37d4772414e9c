"""Paired differences on the same examples: networks and their twins, naive and averaged attacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from variate.flags.evidence import judged_on
from variate.records.claim import Claim
from variate.records.file import Records
from variate.report import single
from variate.report.sheet import Head, ReportTable, TableCell, count_cell, rate_cell, row_cell
from variate.statistics.comparison import Comparison, compare
from variate.statistics.notation import percent

ENDS: list[Head] = [("difference", "points"), ("could miss", "points, below"), ("n", "examples")]


def twins(records: Records) -> ReportTable | None:
    """Each random network minus its deterministic twins, one draw per query, each under its own strongest attack.

    The twins are derived from the network (its mean, a frozen draw) or built alike: the undefended network, and the
    most accurate deterministic network. None if there are no twins.
    """
    lines = []
    for network in single.random_networks(records):
        for budget in [None, *single.budgets(records, network)]:
            worst = single.strongest(records, network, budget)
            if worst is not None:
                lines += [_twin_line(records, worst, twin) for twin in twin_claims(records, worst)]
    heads: list[Head] = [("network",), ("twin",), ("budget",), ("attack", "on the network"), ("attack", "on the twin")]
    column = f"{single.measured(records).column}, %"
    heads += [(column, "network"), (column, "twin"), *ENDS]
    return ReportTable(heads, lines, words=5) if lines else None


def averaging(records: Records) -> ReportTable | None:
    """The same attack on the same network with one draw and with the most draws; None without such pairs."""
    lines = []
    for naive, averaged in _naive_and_averaged(records):
        change = compare(single.bits(records, averaged), single.bits(records, naive), paired_draws=True)
        words = [
            TableCell(naive.network),
            TableCell(single.attack_words(naive, draws=False)),
            TableCell(naive.budget or ""),
        ]
        rates = [row_cell(single.row(records, claim)) for claim in (naive, averaged)]
        draws = TableCell(str(averaged.draws), value=averaged.draws)
        lines.append([*words, draws, *rates, *_ends(records, naive, change)])
    heads: list[Head] = [("network",), ("attack",), ("budget",), ("draws",), ("naive", "1 draw"), ("averaged",), *ENDS]
    return ReportTable(heads, lines, words=3) if lines else None


def compared(records: Records, one: Claim, other: Claim) -> Comparison | None:
    """The paired comparison of two claims; None if their examples differ."""
    if not _same_examples(records, one, other):
        return None
    return compare(single.bits(records, one), single.bits(records, other))


def _twin_line(records: Records, claim: Claim, twin: Claim) -> list[TableCell]:
    attacks = [single.attack_words(side) for side in (claim, twin)]
    gain = compare(single.bits(records, claim), single.bits(records, twin))
    rates = [row_cell(single.row(records, side)) for side in (claim, twin)]
    return [
        *map(TableCell, (claim.network, twin.network, claim.budget or "none", *attacks)),
        *rates,
        *_ends(records, claim, gain),
    ]


def twin_claims(records: Records, claim: Claim) -> list[Claim]:
    """Twins of a claim's network, each under its strongest attack within the same budget, on the same examples."""
    derived, alike = [], []
    for name in dict.fromkeys(c.network for c in single.judged(records, *single.SEEN) if _deterministic(c)):
        twin = single.strongest(records, name, claim.budget, among=lambda c: _same_examples(records, c, claim))
        if twin is not None and twin.twin_of == claim.fingerprint:
            derived.append(twin)
        elif twin is not None and twin.twin_of is None and _alike(records, claim.network, name):
            alike.append(twin)
    undefended = [twin for twin in alike if _defense(records, twin.network) == "deterministic"]
    best = sorted(alike, key=lambda twin: single.share(records, twin))[-1:]
    return list({twin.id: twin for twin in (*derived, *undefended, *best)}.values())


def _deterministic(claim: Claim) -> bool:
    return claim.verdict_draws == 1


def _alike(records: Records, network: str, other: str) -> bool:
    """Whether two networks have the same architecture, data and seed; True if either is not described."""
    first, second = records.networks.get(network), records.networks.get(other)
    if first is None or second is None:
        return True
    facts = [(line.architecture, line.training.get("data"), line.seed) for line in (first, second)]
    return facts[0] == facts[1]


def _defense(records: Records, network: str) -> str | None:
    described = records.networks.get(network)
    return described.defense if described is not None else None


def _same_examples(records: Records, one: Claim, other: Claim) -> bool:
    same = (one.inputs, one.task) == (other.inputs, other.task)
    return same and records.examples[one.id].keys() == records.examples[other.id].keys()


def _naive_and_averaged(records: Records) -> Iterator[tuple[Claim, Claim]]:
    """Pairs of claims that differ only in the attack's draws, with the same verdict draws."""
    claims = [claim for claim in single.judged(records, "table") if claim.verdict_draws > 1 and claim.draws > 0]
    groups: dict[tuple[object, ...], list[Claim]] = {}
    for claim in claims:
        key = (claim.attack, str(claim.options), claim.budget, judged_on(claim))
        groups.setdefault(key, []).append(claim)
    for group in groups.values():
        naive, *_, averaged = sorted(group, key=lambda claim: claim.draws) if len(group) > 1 else [group[0]] * 2
        if naive.draws == 1 < averaged.draws and _same_examples(records, naive, averaged):
            yield naive, averaged


def difference_cell(comparison: Comparison) -> TableCell:
    """A paired difference in points, marked if its interval excludes zero."""
    tone = "gain" if comparison.low > 0 else "loss" if comparison.high < 0 else ""
    return replace(rate_cell(comparison.difference, comparison.low, comparison.high, signed=True), tone=tone)


def missed_cell(comparison: Comparison) -> TableCell:
    """The difference in points below which the comparison could have missed it."""
    return TableCell(percent(comparison.detectable), value=comparison.detectable)


def _ends(records: Records, claim: Claim, comparison: Comparison) -> list[TableCell]:
    examples = count_cell(len(records.examples[claim.id]))
    return [difference_cell(comparison), missed_cell(comparison), examples]
