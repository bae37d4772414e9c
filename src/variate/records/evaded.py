"""How many malicious examples evade a detector within k queries, from records alone.

An attacker without the network's weights pays with queries, and is ranked by them. A *malicious* example is one of
class 1 of two. It has evaded after k queries if the attack spent at most k on it and a fresh draw calls the result
benign; if the attack needs more, the attacker sends the example as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from variate import registry
from variate.records import groups
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import CLEAN
from variate.records.schema import Example
from variate.statistics.crossed import Scores
from variate.statistics.rates import Deployment, Rate, rate_of

QUERIES = (10, 100, 1000)
BLACK_BOX = ("scores", "labels")  # access of the attackers who pay by the query
SINGLE = Deployment("single", 1)
MALICIOUS = 1


@dataclass(frozen=True)
class Evaded:
    """The share of malicious examples that evade a network under one black-box attack, one draw per query.

    Attributes:
        network, group: the network, and the name that it shares with those of other seeds.
        attack: name of the attack.
        access: what it sees: ``scores`` or ``labels``.
        options: its options but for the number of queries.
        budget: the perturbation budget.
        missed: the share that is called benign without any change.
        within: the share that evades within so many queries, by their number.
        examples: number of malicious examples.
    """

    network: str
    group: str | None
    attack: str
    access: str
    options: dict[str, Any]
    budget: str
    missed: Rate
    within: dict[int, Rate]
    examples: int

    @property
    def rank(self) -> tuple[float, ...]:
        """Sorts the strongest attacker first: the most evaded within the most queries, then within fewer."""
        return tuple(-rate.rate for _, rate in sorted(self.within.items(), reverse=True))


def evaded(records: Records, queries: Sequence[int] = QUERIES) -> list[Evaded]:
    """The evasions from every network under every black-box attack, by network, the strongest attacker first.

    Claims of one attack with several allowances of queries are one attacker: for each k, that with the largest
    allowance up to k counts. A query is one answer of the deployed network, so an attack that averages over D draws
    spends D at each point. Claims of more than two classes, targeted attacks and suites have no part in it.

    Args:
        records: records with claims on clean inputs and under attack.
        queries: numbers of queries k.
    """
    claims = [claim for claim in groups.shown(records, "table") if _of_two_classes(records, claim)]
    clean = {(claim.network, claim.inputs, claim.task): claim for claim in claims if claim.attack == CLEAN}
    attackers: dict[Hashable, list[Claim]] = {}
    for claim in claims:
        if claim.budget is not None and _access(claim) in BLACK_BOX and "target" not in claim.options:
            attackers.setdefault((claim.network, claim.attack, str(_options(claim)), claim.budget), []).append(claim)
    found = []
    for ours in attackers.values():
        first = ours[0]
        unattacked = clean.get((first.network, first.inputs, first.task))
        if unattacked is not None:
            found.append(_evaded(records, ours, unattacked, queries))
    order = list(dict.fromkeys(claim.network for claim in claims))
    budgets = list(dict.fromkeys(claim.budget for claim in claims))
    return sorted(found, key=lambda row: (order.index(row.network), budgets.index(row.budget), row.rank))


def _evaded(records: Records, claims: Sequence[Claim], clean: Claim, queries: Sequence[int]) -> Evaded:
    plain = _malicious(records, clean)
    within = {}
    by_cost = sorted(claims, key=lambda claim: max(example.forwards for example in _examples(records, claim)))
    for k in queries:
        affordable = [claim for claim in by_cost if max(e.forwards for e in _examples(records, claim)) <= k]
        claim = affordable[-1] if affordable else by_cost[0]
        spent = np.array([example.forwards for example in _examples(records, claim)])  # (N,)
        within[k] = _benign(np.where(spent <= k, *np.broadcast_arrays(_malicious(records, claim), plain)))
    first = claims[0]
    return Evaded(
        first.network,
        first.group,
        first.attack,
        _access(first),
        _options(first),
        first.budget or "",
        _benign(plain),
        within,
        plain.shape[1],
    )


def _malicious(records: Records, claim: Claim) -> Scores:
    """Whether each draw is right about each malicious example: (draws, N)."""
    labels = [records.examples[claim.id][i].label for i in sorted(records.examples[claim.id])]
    return records.answers(claim, SINGLE.source)[:, np.array(labels) == MALICIOUS]


def _examples(records: Records, claim: Claim) -> list[Example]:
    """The malicious examples of a claim, in order."""
    examples = records.examples[claim.id]
    return [examples[i] for i in sorted(examples) if examples[i].label == MALICIOUS]


def _benign(right: Scores) -> Rate:
    """The share of answers that call malicious examples benign."""
    rate = rate_of(SINGLE, right)
    return Rate(1 - rate.rate, 1 - rate.high, 1 - rate.low)


def _of_two_classes(records: Records, claim: Claim) -> bool:
    """Whether a claim has answers of single draws to examples of two classes, and they are the only ones."""
    if SINGLE.source not in {Deployment.parse(name).source for name in groups.deployments_of(records, claim)}:
        return False
    labels = {example.label for example in records.examples[claim.id].values()}
    named = {len(run.labels) for run in records.runs if run.labels}
    return labels == {0, MALICIOUS} and named <= {2}


def _access(claim: Claim) -> str:
    entries = registry.entries("attacks")
    return str(entries[claim.attack].facts["access"]) if claim.attack in entries else ""


def _options(claim: Claim) -> dict[str, Any]:
    return {name: value for name, value in claim.options.items() if name != "queries"}
