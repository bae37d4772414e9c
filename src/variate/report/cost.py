"""The cost of every attack and of training every network."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from variate import registry
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import shown
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import NetworkLine
from variate.report import single
from variate.report.sheet import NOTHING, Head, ReportTable, TableCell, count_cell, rate_cell

PARTS = ("table", "twins")


@dataclass(frozen=True)
class Spent:
    """The cost of one claim: mean counts per example, and total times.

    Attributes:
        queries: inputs queried; None in records of versions that did not count them.
        forward_passes, backward_passes: passes of the attack.
        attack_seconds, verdict_seconds: wall-clock time summed over processes; None unless recorded for all examples.
    """

    queries: float | None
    forward_passes: float
    backward_passes: float
    attack_seconds: float | None
    verdict_seconds: float | None


def spent(records: Records, claim: Claim) -> Spent:
    """The cost of a claim that has at least one example."""
    examples = list(records.examples[claim.id].values())
    points = sum(example.points for example in examples) / len(examples)
    forwards = sum(example.forwards for example in examples) / len(examples)
    backwards = sum(example.backwards for example in examples) / len(examples)
    timings = list(records.timings.get(claim.id, {}).values())
    complete = sum(timing.examples for timing in timings) == len(examples)
    return Spent(
        queries=points if points or not forwards else None,
        forward_passes=forwards,
        backward_passes=backwards,
        attack_seconds=round(sum(timing.attack for timing in timings), 3) if complete else None,
        verdict_seconds=round(sum(timing.verdict for timing in timings), 3) if complete else None,
    )


def price(records: Records, claim: Claim) -> tuple[float, int, int] | None:
    """The price of a query (``variate.oracle.query_price``) of a claim's network, for an attack that sees scores.

    Returns:
        The median over the examples on which it was measured, infinite where no slope stood out from its noise, their
        number, and the number of those that are infinite; None for other attacks and where it was not measured.
    """
    names = [plan["name"] for plan in claim.options.get("attacks", [])] or [claim.attack]
    known = registry.entries("attacks")
    if not any(name in known and known[name].facts["access"] == "scores" for name in names):
        return None
    lines = [line for line in records.gradients.values() if line.fingerprint == claim.fingerprint]
    measured = [line for line in lines if line.price is not None or line.price_by_step]
    prices = sorted(math.inf if line.price is None else line.price for line in measured)
    if not prices:
        return None
    return statistics.median(prices), len(prices), sum(map(math.isinf, prices))


def by_attack(records: Records, claim: Claim) -> dict[str, tuple[float, float, float]]:
    """For a suite, the mean forward and backward passes per example of each attack, and its total seconds.

    In the order in which the attacks ran; an attack that ran on few examples has few passes per example. Empty for a
    single attack, and in records that did not keep it.
    """
    timings = list(records.timings.get(claim.id, {}).values())
    examples = sum(timing.examples for timing in timings)
    totals: dict[str, tuple[float, float, float]] = {}
    for timing in timings:
        for attack, cost in timing.by_attack.items():
            before = totals.get(attack, (0.0, 0.0, 0.0))
            totals[attack] = before[0] + cost[0], before[1] + cost[1], before[2] + cost[2]
    return {attack: (forward / examples, backward / examples, s) for attack, (forward, backward, s) in totals.items()}


def attack_cost(records: Records) -> ReportTable | None:
    """Passes, queries and seconds of every attack in the main tables, and of each of a suite; None without attacks."""
    attacked = [claim for claim in shown(records, *PARTS) if claim.attack != CLEAN]
    lines = [cells for claim in attacked for cells in (_attack_cells(records, claim), *_suite_cells(records, claim))]
    heads: list[Head] = [("network",), ("attack",), ("budget",), ("examples",), ("draws", "per query")]
    heads += [("queries", "inputs"), ("forward", "passes"), ("backward", "passes")]
    heads += [("attack", "seconds"), ("verdict", "draws, seconds")]
    return ReportTable(heads, lines, words=3) if lines else None


def training(records: Records) -> ReportTable | None:
    """How every network was built and trained, how long that took, and its clean accuracy."""
    tests = {claim.network: single.row(records, claim) for claim in single.judged(records, "test split")}
    lines = [_network_cells(network, tests.get(network.network)) for network in records.networks.values()]
    heads: list[Head] = [("network",), ("architecture",), ("objective",), ("seed",), ("parameters",)]
    heads += [("stored", "bytes"), ("epochs",)]
    column = f"{single.measured(records).column}, %"
    heads += [("training", "seconds"), ("validation", column), ("test split", column)]
    return ReportTable(heads, lines, words=3) if lines else None


def _attack_cells(records: Records, claim: Claim) -> list[TableCell]:
    cost = spent(records, claim)
    words = [claim.network, single.attack_words(claim, draws=False), claim.budget or ""]
    counts = [count_cell(len(records.examples[claim.id])), count_cell(claim.draws), _queries(records, claim, cost)]
    counts += [count_cell(cost.forward_passes), count_cell(cost.backward_passes), _seconds(cost.attack_seconds)]
    seconds = "" if cost.verdict_seconds is None else f"{_seconds(cost.verdict_seconds).text} s"
    return [*map(TableCell, words), *counts, count_cell(claim.verdict_draws, seconds)]


def _suite_cells(records: Records, claim: Claim) -> list[list[TableCell]]:
    """One row for each attack of a suite, below that of the suite."""
    rows = []
    draws = {plan["name"]: plan["draws"] for plan in claim.options.get("attacks", [])}
    for attack, (forwards, backwards, seconds) in by_attack(records, claim).items():
        words = [TableCell(word) for word in (claim.network, f"{claim.attack}: {attack}", claim.budget or "")]
        own = draws.get(next((name for name in draws if attack.startswith(name)), ""))
        counts = [NOTHING, NOTHING if own is None else count_cell(own), NOTHING]
        counts += [count_cell(forwards), count_cell(backwards), _seconds(round(seconds, 3)), NOTHING]
        rows.append([*words, *counts])
    return rows


def _queries(records: Records, claim: Claim, cost: Spent) -> TableCell:
    """The queries, and what each of them costs because answers are random."""
    if cost.queries is None:
        return NOTHING
    priced = price(records, claim)
    return count_cell(cost.queries, "" if priced is None else f"price {priced[0]:.3g}")


def _seconds(value: float | None) -> TableCell:
    """Seconds; below 10, with two significant digits."""
    if value is None:
        return NOTHING
    return count_cell(value) if value >= 10 else TableCell(f"{value:.2g}", value=value)


def _network_cells(network: NetworkLine, test: RateRow | None) -> list[TableCell]:
    words = [TableCell(word) for word in (network.network, network.architecture, network.objective)]
    size = NOTHING if network.bytes is None else count_cell(network.bytes)
    numbers = [count_cell(network.seed), count_cell(network.parameters), size]
    numbers += [count_cell(network.epochs), count_cell(network.seconds)]
    share = network.validation
    validation = NOTHING if share is None else TableCell(f"{100 * share:.1f}", value=share)
    return [*words, *numbers, validation, rate_cell(test.rate, test.low, test.high) if test else NOTHING]
