"""Paired differences between random networks and their twins, by deployment and over all seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from variate.options import plain
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import deployments_of, shown
from variate.records.rows import CLEAN
from variate.records.schema import AVERAGED, NetworkLine
from variate.report import single
from variate.report.paired import ENDS, difference_cell, missed_cell
from variate.report.sheet import Head, ReportTable, TableCell, count_cell
from variate.statistics.comparison import Comparison, compare
from variate.statistics.crossed import Scores
from variate.statistics.notation import percent
from variate.statistics.rates import Deployment
from variate.statistics.seeds import compare_seeds

COMPARED = ("single", "mean", "majority")  # rules whose answers can be paired with those of a deterministic network


@dataclass(frozen=True)
class _Judged:
    """One network under its own strongest attack of a deployment: the claim and its answers, shape (G, B)."""

    claim: Claim
    right: Scores

    @property
    def share(self) -> float:
        return float(self.right.mean())


@dataclass(frozen=True)
class _Side:
    """A network or a twin, by training seed."""

    name: str
    by_seed: dict[int, _Judged]

    @property
    def share(self) -> float:
        return fmean(judged.share for judged in self.by_seed.values())


def gains(records: Records) -> ReportTable | None:
    """Each random network minus its mean network, the best deterministic network trained alike, and averages of such.

    An average of several deterministic networks (a study's ``averages``) is a twin in the deployments of both: its
    ``mean-K`` costs as much as that of the random network. A network trained with several seeds is compared over all
    of them, in every deployment; one of a single seed in the deployments that average draws, since ``paired.twins``
    compares one draw per query. None without such pairs.
    """
    lines = [line for group in _random_groups(records) for line in _lines(records, group)]
    heads: list[Head] = [("network",), ("twin",), ("deployment",), ("budget",), ("seeds",)]
    column = f"{single.measured(records).column}, %"
    heads += [(column, "network"), (column, "twin"), *ENDS]
    return ReportTable(heads, lines, words=4) if lines else None


def over_seeds(records: Records, claim: Claim, rival: Claim) -> tuple[Comparison, int] | None:
    """The difference between the groups of two claims, one draw per query, and its seeds; None for fewer than two."""
    if claim.group is None or rival.group is None:
        return None
    ours, theirs = (_side(records, one.group or "", claim.budget, single.SINGLE) for one in (claim, rival))
    pairs = _pairs(records, ours, theirs)
    return (compare_seeds(pairs), len(pairs)) if len(pairs) > 1 else None


def _lines(records: Records, group: str) -> Iterator[list[TableCell]]:
    claims = [claim for claim in _claims(records) if _group(claim) == group]
    deployments = [Deployment.parse(word) for claim in claims for word in deployments_of(records, claim)]
    several = len({claim.network for claim in claims}) > 1
    for budget in dict.fromkeys(claim.budget for claim in claims):
        for deployment in dict.fromkeys(deployments):
            if deployment.rule in COMPARED and (several or deployment != single.SINGLE):
                ours = _side(records, group, budget, deployment)
                for twin in (*_twins(records, ours, budget), *_averages(records, ours, budget, deployment)):
                    pairs = _pairs(records, ours, twin)
                    if pairs:
                        yield _cells(ours, twin, pairs, deployment, budget)


def _cells(
    ours: _Side, twin: _Side, pairs: Sequence[tuple[Scores, Scores]], deployment: Deployment, budget: str | None
) -> list[TableCell]:
    difference = compare_seeds(pairs) if len(pairs) > 1 else compare(*pairs[0])
    words = [ours.name, twin.name.removeprefix(f"{ours.name}, "), str(deployment), budget or "none"]
    shares = [fmean(float(pair[side].mean()) for pair in pairs) for side in (0, 1)]
    rates = [TableCell(percent(share), value=share, share=share) for share in shares]
    ends = [difference_cell(difference), missed_cell(difference), count_cell(pairs[0][0].shape[1])]
    return [*map(TableCell, words), count_cell(len(pairs)), *rates, *ends]


def _twins(records: Records, ours: _Side, budget: str | None) -> list[_Side]:
    """The mean network of a random one, and the best deterministic network of its architecture and data."""
    owners = {judged.claim.fingerprint for judged in ours.by_seed.values()}
    derived, alike = [], []
    for group in dict.fromkeys(_group(claim) for claim in _claims(records) if claim.verdict_draws == 1):
        twin = _side(records, group, budget, single.SINGLE)
        twin_of = {judged.claim.twin_of for judged in twin.by_seed.values()}
        if not _pairs(records, ours, twin):
            continue
        if twin_of <= owners:
            derived.append(twin)
        elif twin_of == {None} and _facts(records, ours) == _facts(records, twin):
            alike.append(twin)
    mean = [twin for twin in derived if twin.name.endswith("mean network")]
    return [*mean, *sorted(alike, key=lambda twin: twin.share)[-1:]]


def _averages(records: Records, ours: _Side, budget: str | None, deployment: Deployment) -> list[_Side]:
    """Averages of several deterministic networks on the same data, used as the random network is."""
    if any(AVERAGED in line.training for line in _described(records, ours)):
        return []
    sides = [_side(records, group, budget, deployment) for group in _random_groups(records)]
    return [
        side
        for side in sides
        if any(AVERAGED in line.training for line in _described(records, side))
        and _facts(records, side) == _facts(records, ours)
    ]


def _facts(records: Records, side: _Side) -> set[tuple[object, ...]]:
    """Architecture, of any width, and data of the networks of a side."""
    return {(plain(line.architecture), line.training.get("data")) for line in _described(records, side)}


def _described(records: Records, side: _Side) -> list[NetworkLine]:
    lines = [records.networks.get(judged.claim.network) for judged in side.by_seed.values()]
    return [line for line in lines if line is not None]


def _pairs(records: Records, ours: _Side, theirs: _Side) -> list[tuple[Scores, Scores]]:
    """The answers of both sides for every seed that they share, if all are to the same examples."""
    pairs, examples = [], set()
    for seed in sorted(ours.by_seed.keys() & theirs.by_seed.keys()):
        one, other = ours.by_seed[seed], theirs.by_seed[seed]
        claims = (one.claim, other.claim)
        examples |= {(claim.inputs, claim.task, tuple(sorted(records.examples[claim.id]))) for claim in claims}
        pairs.append((one.right, other.right))
    return pairs if len(examples) == 1 else []


def _side(records: Records, group: str, budget: str | None, deployment: Deployment) -> _Side:
    """The networks of a group, each under the attack within a budget that leaves this deployment the least."""
    by_seed: dict[int, _Judged] = {}
    for claim in _claims(records):
        if _group(claim) != group or claim.budget != budget or (claim.attack == CLEAN) != (budget is None):
            continue
        source = single.SINGLE.source if claim.verdict_draws == 1 else deployment.source
        if source not in {Deployment.parse(word).source for word in deployments_of(records, claim)}:
            continue
        judged, seed = _Judged(claim, records.answers(claim, source)), _seed(records, claim)
        if seed not in by_seed or judged.share < by_seed[seed].share:
            by_seed[seed] = judged
    return _Side(group, by_seed)


def _seed(records: Records, claim: Claim) -> int:
    """The training seed of a claim's network; a derived twin has that of the network that it was made from."""
    described = records.networks.get(claim.network)
    if described is None and claim.twin_of is not None:
        owners = {line.fingerprint: line.network for line in _claims(records)}
        described = records.networks.get(owners.get(claim.twin_of, ""))
    return described.seed if described is not None else 0


def _random_groups(records: Records) -> list[str]:
    return list(dict.fromkeys(_group(claim) for claim in _claims(records) if claim.verdict_draws > 1))


def _group(claim: Claim) -> str:
    return claim.group or claim.network


def _claims(records: Records) -> list[Claim]:
    """The claims of the tables on networks, without those of targeted attacks."""
    return [claim for claim in shown(records, *single.SEEN) if "target" not in claim.options]
