"""The verdict in sentences: what the intervals show, and what they do not."""

from __future__ import annotations

from variate.records.file import Records
from variate.records.rows import RateRow
from variate.records.schema import Claim
from variate.report import single
from variate.report.paired import compared

NOTHING = "No attack that wants any wrong answer was judged one draw per query, so nothing is said of robustness."


def verdict(records: Records) -> list[str]:
    """Each random network's one-draw rate under its strongest attack, beside the best deterministic network's.

    Strongest and best within one budget and one data set: others say nothing of it. Where there is no random network,
    each network's own rate.
    """
    return records.once("verdict", lambda: _verdict(records))


def _verdict(records: Records) -> list[str]:
    random = single.random_networks(records)
    sentences = []
    for network in random or dict.fromkeys(claim.network for claim in single.judged(records, "table")):
        for budget in single.budgets(records, network):
            worst = single.strongest(records, network, budget)
            if worst is not None:
                sentences.append(_sentence(records, worst, _best(records, worst) if random else None))
    return sentences


def headline(records: Records) -> str:
    """The verdict in one sentence: on the only random network, or on the one with the most right answers."""
    sentences = verdict(records)
    random = single.random_networks(records)
    found = [(network, single.budgets(records, network)[:1]) for network in random]
    worst = [single.strongest(records, network, budget) for network, first in found for budget in first]
    known = [claim for claim in worst if claim is not None]
    if len(known) < 2:
        return sentences[0] if sentences else NOTHING
    budget = known[0].budget
    ours = [claim for claim in known if claim.budget == budget]
    claim = max(ours, key=lambda claim: single.share(records, claim))
    said = _sentence(records, claim, _best(records, claim))
    return f"{said} {claim.network} is the best of {len(ours)} random networks, picked on these very examples."


def _best(records: Records, claim: Claim) -> Claim | None:
    """Of the deterministic networks of the table on the same data, the one with the most right answers."""
    names = dict.fromkeys(other.network for other in single.judged(records, "table") if other.verdict_draws == 1)
    ours = [name for name in names if _data(records, name) == _data(records, claim.network)]
    found = [single.strongest(records, name, claim.budget) for name in ours]
    known = [other for other in found if other is not None]
    return max(known, key=lambda other: single.share(records, other), default=None)


def _data(records: Records, network: str) -> str | None:
    described = records.networks.get(network)
    return described.training.get("data") if described is not None else None


def _sentence(records: Records, claim: Claim, best: Claim | None) -> str:
    row = single.row(records, claim)
    if best is None:
        return f"{_said(row, claim)}."
    other = single.row(records, best)
    return f"{_said(row, claim)}; the best deterministic network, {best.network}, {other.percent} %: " + (
        _relation(records, claim, best, row, other)
    )


def _relation(records: Records, claim: Claim, best: Claim, row: RateRow, other: RateRow) -> str:
    """What the paired difference shows, or the two intervals where the examples are not the same."""
    paired = compared(records, claim, best)
    if paired is not None:
        ends = f"{100 * paired.difference:+.1f} points [{100 * paired.low:+.1f}, {100 * paired.high:+.1f}]"
        if paired.low > 0 or paired.high < 0:
            return f"a paired difference of {ends}."
        return f"a paired difference of {ends}, which does not tell them apart."
    if row.low > other.high:
        return "the interval lies above it."
    if row.high < other.low:
        return "the interval lies below it."
    return "the intervals overlap, so no difference is shown."


def _said(row: RateRow, claim: Claim) -> str:
    random = claim.verdict_draws > 1
    averaged = f" averaged over {row.draws} draws" if row.draws > 1 and random else ""
    answered = "with one draw per query" if random else "with its one answer"
    return (
        f"Under {row.attack}{averaged} at {row.budget}, {row.network} is right {row.percent} % of the time {answered}"
    )
