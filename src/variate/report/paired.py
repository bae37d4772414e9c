"""What two claims differ by on the same examples: networks and their twins, naive and averaged attacks."""

from __future__ import annotations

from collections.abc import Iterator

from variate.flags.evidence import judged_on
from variate.records.file import Records
from variate.records.schema import Claim
from variate.report import single
from variate.report.sheet import Head, ReportTable, TableCell, rate_cell, row_cell
from variate.statistics.comparison import Comparison, compare

ENDS: list[Head] = [("difference", "points"), ("p", "McNemar")]


def twins(records: Records) -> ReportTable | None:
    """Each random network less its deterministic twins, one draw per query, each under its own strongest attack.

    The twins are what was made of the network (its mean, a frozen draw), the undefended network that was made like it,
    and, of all deterministic networks made like it, the one with the most right answers. None without any.
    """
    lines = []
    for network in single.random_networks(records):
        for budget in [None, *single.budgets(records, network)]:
            worst = single.strongest(records, network, budget)
            if worst is not None:
                lines += [_difference(records, worst, other) for other in _twins(records, worst)]
    heads: list[Head] = [("network",), ("twin",), ("budget",), ("attack", "on the network"), ("attack", "on the twin")]
    heads += [("right, %", "network"), ("right, %", "twin"), *ENDS]
    return ReportTable(heads, lines, words=5) if lines else None


def averaging(records: Records) -> ReportTable | None:
    """The same attack with one draw and averaged over the most draws, on the same network; None without such pairs."""
    lines = []
    for naive, averaged in _naive_and_averaged(records):
        found = compare(single.bits(records, averaged), single.bits(records, naive), paired_draws=True)
        words = [
            TableCell(naive.network),
            TableCell(single.attack_words(naive, draws=False)),
            TableCell(naive.budget or ""),
        ]
        rates = [row_cell(single.row(records, claim)) for claim in (naive, averaged)]
        lines.append([*words, TableCell(str(averaged.draws), value=averaged.draws), *rates, _points(found), _p(found)])
    heads: list[Head] = [("network",), ("attack",), ("budget",), ("draws",), ("naive", "1 draw"), ("averaged",), *ENDS]
    return ReportTable(heads, lines, words=3) if lines else None


def compared(records: Records, one: Claim, other: Claim) -> Comparison | None:
    """How far apart two claims are; None if they are not of the very same examples."""
    if not _same_examples(records, one, other):
        return None
    return compare(single.bits(records, one), single.bits(records, other))


def _difference(records: Records, one: Claim, other: Claim) -> list[TableCell]:
    attacks = [single.attack_words(claim) for claim in (one, other)]
    found = compare(single.bits(records, one), single.bits(records, other))
    rates = [row_cell(single.row(records, claim)) for claim in (one, other)]
    return [
        *map(TableCell, (one.network, other.network, one.budget or "none", *attacks)),
        *rates,
        _points(found),
        _p(found),
    ]


def _twins(records: Records, claim: Claim) -> list[Claim]:
    """Each under its own strongest attack within the claim's budget, on the claim's examples."""
    made_of, like = [], []
    for name in dict.fromkeys(other.network for other in single.judged(records, *single.SEEN) if _fixed(other)):
        found = single.strongest(records, name, claim.budget, among=lambda c: _same_examples(records, c, claim))
        if found is not None and found.twin_of == claim.fingerprint:
            made_of.append(found)
        elif found is not None and found.twin_of is None and _alike(records, claim.network, name):
            like.append(found)
    undefended = [other for other in like if _defense(records, other.network) == "deterministic"]
    best = sorted(like, key=lambda other: single.share(records, other))[-1:]
    return list({other.id: other for other in (*made_of, *undefended, *best)}.values())


def _fixed(claim: Claim) -> bool:
    return claim.verdict_draws == 1


def _alike(records: Records, network: str, other: str) -> bool:
    """Whether two networks have the same architecture, data and seed; unknown facts do not tell them apart."""
    one, two = records.networks.get(network), records.networks.get(other)
    if one is None or two is None:
        return True
    facts = [(line.architecture, line.training.get("data"), line.seed) for line in (one, two)]
    return facts[0] == facts[1]


def _defense(records: Records, network: str) -> str | None:
    described = records.networks.get(network)
    return described.defense if described is not None else None


def _same_examples(records: Records, one: Claim, other: Claim) -> bool:
    return one.inputs == other.inputs and records.examples[one.id].keys() == records.examples[other.id].keys()


def _naive_and_averaged(records: Records) -> Iterator[tuple[Claim, Claim]]:
    """Pairs of claims that differ in the attack's draws alone, and were judged by the same draws."""
    claims = [claim for claim in single.judged(records, "table") if claim.verdict_draws > 1 and claim.draws > 0]
    groups: dict[tuple[object, ...], list[Claim]] = {}
    for claim in claims:
        key = (claim.attack, str(claim.options), claim.budget, judged_on(claim))
        groups.setdefault(key, []).append(claim)
    for group in groups.values():
        naive, *_, averaged = sorted(group, key=lambda claim: claim.draws) if len(group) > 1 else [group[0]] * 2
        if naive.draws == 1 < averaged.draws and _same_examples(records, naive, averaged):
            yield naive, averaged


def _points(found: Comparison) -> TableCell:
    return rate_cell(found.difference, found.low, found.high, signed=True)


def _p(found: Comparison) -> TableCell:
    return TableCell(f"{found.p:.3f}" if found.p >= 0.001 else "< 0.001", value=found.p)
