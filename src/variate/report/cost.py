"""What every attack asked of its network, and what every network took to train."""

from __future__ import annotations

from dataclasses import dataclass

from variate.records.file import Records
from variate.records.groups import shown
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import Claim, NetworkLine
from variate.report import single
from variate.report.sheet import NOTHING, Head, ReportTable, TableCell, count_cell, rate_cell

PARTS = ("table", "twins")


@dataclass(frozen=True)
class Spent:
    """What one claim asked for, a mean over its examples, and how long it took in all.

    Attributes:
        queries: inputs asked about; None in records of versions that did not count them.
        forward_passes, backward_passes: of the attack.
        attack_seconds, verdict_seconds: by the wall's clock, summed over processes; None where records do not keep
            them, or not of all examples.
    """

    queries: float | None
    forward_passes: float
    backward_passes: float
    attack_seconds: float | None
    verdict_seconds: float | None


def spent(records: Records, claim: Claim) -> Spent:
    """What a claim with at least one example cost."""
    examples = list(records.examples[claim.id].values())
    points = sum(example.points for example in examples) / len(examples)
    forwards = sum(example.forwards for example in examples) / len(examples)
    backwards = sum(example.backwards for example in examples) / len(examples)
    timings = list(records.timings.get(claim.id, {}).values())
    whole = sum(timing.examples for timing in timings) == len(examples)
    return Spent(
        queries=points if points or not forwards else None,
        forward_passes=forwards,
        backward_passes=backwards,
        attack_seconds=round(sum(timing.attack for timing in timings), 3) if whole else None,
        verdict_seconds=round(sum(timing.verdict for timing in timings), 3) if whole else None,
    )


def attack_cost(records: Records) -> ReportTable | None:
    """Passes, queries and seconds of every attack in the main tables; None without attacks."""
    lines = [_attack(records, claim) for claim in shown(records, *PARTS) if claim.attack != CLEAN]
    heads: list[Head] = [("network",), ("attack",), ("budget",), ("examples",), ("draws", "of a query")]
    heads += [("queries", "inputs asked about"), ("forward", "passes"), ("backward", "passes")]
    heads += [("seconds", "of the attack"), ("verdict", "draws, seconds")]
    return ReportTable(heads, lines, words=3) if lines else None


def training(records: Records) -> ReportTable | None:
    """How every network was made, how long it took, and what it does on unattacked inputs."""
    tests = {claim.network: single.row(records, claim) for claim in single.judged(records, "test split")}
    lines = [_network(network, tests.get(network.network)) for network in records.networks.values()]
    heads: list[Head] = [("network",), ("architecture",), ("objective",), ("seed",), ("parameters",), ("epochs",)]
    heads += [("training", "seconds"), ("validation", "right, %"), ("test split", "right, %")]
    return ReportTable(heads, lines, words=3) if lines else None


def _attack(records: Records, claim: Claim) -> list[TableCell]:
    cost = spent(records, claim)
    words = [claim.network, single.attack_words(claim, draws=False), claim.budget or ""]
    counts = [count_cell(len(records.examples[claim.id])), count_cell(claim.draws), _count(cost.queries)]
    counts += [count_cell(cost.forward_passes), count_cell(cost.backward_passes), _seconds(cost.attack_seconds)]
    took = "" if cost.verdict_seconds is None else f"{_seconds(cost.verdict_seconds).text} s"
    return [*map(TableCell, words), *counts, count_cell(claim.verdict_draws, took)]


def _count(value: float | None) -> TableCell:
    return NOTHING if value is None else count_cell(value)


def _seconds(value: float | None) -> TableCell:
    """Seconds, two digits of them where they are few."""
    if value is None:
        return NOTHING
    return count_cell(value) if value >= 10 else TableCell(f"{value:.2g}", value=value)


def _network(network: NetworkLine, test: RateRow | None) -> list[TableCell]:
    words = [TableCell(word) for word in (network.network, network.architecture, network.objective)]
    numbers = [count_cell(n) for n in (network.seed, network.parameters, network.epochs, network.seconds)]
    share = network.validation
    validation = NOTHING if share is None else TableCell(f"{100 * share:.1f}", value=share)
    return [*words, *numbers, validation, rate_cell(test.rate, test.low, test.high) if test else NOTHING]
