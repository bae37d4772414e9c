"""The verdict in sentences: what the intervals show and what they do not show."""

from __future__ import annotations

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.measure import ACCURACY, measure_of
from variate.records.rows import RateRow
from variate.report import single
from variate.report.paired import compared


def verdict(records: Records) -> list[str]:
    """Each random network's one-draw accuracy under its strongest attack, compared with the best deterministic network.

    Only claims with the same budget and data set are compared. Without random networks, each network's own accuracy.
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


def _best(records: Records, claim: Claim) -> Claim | None:
    """The strongest claim on the most accurate deterministic network of the table with the same data and budget."""
    names = dict.fromkeys(other.network for other in single.judged(records, "table") if other.verdict_draws == 1)
    ours = [name for name in names if _data(records, name) == _data(records, claim.network)]
    strongest = [single.strongest(records, name, claim.budget) for name in ours]
    claims = [other for other in strongest if other is not None]
    return max(claims, key=lambda other: single.share(records, other), default=None)


def _data(records: Records, network: str) -> str | None:
    described = records.networks.get(network)
    return described.training.get("data") if described is not None else None


def _sentence(records: Records, claim: Claim, best: Claim | None) -> str:
    row = single.row(records, claim)
    if best is None:
        return f"{_accuracy(row, claim)}."
    other = single.row(records, best)
    relation = _relation(records, claim, best, row, other)
    return f"{_accuracy(row, claim)}; the best deterministic network, {best.network}, {other.percent} %: {relation}"


def _relation(records: Records, claim: Claim, best: Claim, row: RateRow, other: RateRow) -> str:
    """The paired difference, or the relation of the two intervals if the examples differ."""
    paired = compared(records, claim, best)
    if paired is not None:
        if paired.low > 0 or paired.high < 0:
            return f"the paired difference is {paired.points}."
        return f"the paired difference is {paired.points}, which is not significant; {paired.power}."
    if row.low > other.high:
        return "the interval lies above the other."
    if row.high < other.low:
        return "the interval lies below the other."
    return "the intervals overlap, so no difference is shown."


def _accuracy(row: RateRow, claim: Claim) -> str:
    random = claim.verdict_draws > 1
    averaged = f" averaged over {row.draws} draws" if row.draws > 1 and random else ""
    deployed = "with one draw per query" if random else "as a deterministic network"
    measure = measure_of([claim.task])
    right, score = f"is correct {row.percent} % of the time", f"has a {measure.noun} of {row.percent} %"
    is_it = right if measure == ACCURACY else score
    return f"Under {row.attack}{averaged} at {row.budget}, {row.network} {is_it} {deployed}"
