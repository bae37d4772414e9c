"""What every attack asked of its network, and what every network took to train."""

from __future__ import annotations

from variate.lines import Claim, Network
from variate.record import Records
from variate.report import single
from variate.report.sheet import NOTHING, Cell, Head, Sheet, count_cell, rate_cell
from variate.verdicts.result import CLEAN, Row

PARTS = ("table", "twins")


def attack_cost(records: Records) -> Sheet | None:
    """Passes and queries of every attack in the main tables, a mean over its examples; None without attacks."""
    claims = [claim for claim in records.claims.values() if claim.attack != CLEAN and claim.part in PARTS]
    lines = [_attack(records, claim) for claim in claims if records.examples.get(claim.id)]
    heads: list[Head] = [("network",), ("attack",), ("budget",), ("examples",), ("draws", "of a query")]
    heads += [("queries", "inputs asked about"), ("forward passes",), ("backward passes",), ("draws", "of the verdict")]
    return Sheet(heads, lines, words=3) if lines else None


def training(records: Records) -> Sheet | None:
    """How every network was made, how long it took, and what it does on unattacked inputs."""
    tests = {claim.network: single.row(records, claim) for claim in single.judged(records, "test split")}
    lines = [_network(network, tests.get(network.network)) for network in records.networks.values()]
    heads: list[Head] = [("network",), ("architecture",), ("objective",), ("seed",), ("parameters",), ("epochs",)]
    heads += [("training", "seconds"), ("validation", "right, %"), ("test split", "right, %")]
    return Sheet(heads, lines, words=3) if lines else None


def _attack(records: Records, claim: Claim) -> list[Cell]:
    examples = list(records.examples[claim.id].values())
    points, forwards, backwards = (
        sum(numbers) / len(examples)
        for numbers in (
            [example.points for example in examples],
            [example.forwards for example in examples],
            [example.backwards for example in examples],
        )
    )
    words = [claim.network, single.attack_words(claim, draws=False), claim.budget or ""]
    asked = count_cell(points) if points else NOTHING  # records of versions that did not count them hold none
    counts = [count_cell(len(examples)), count_cell(claim.draws), asked, count_cell(forwards), count_cell(backwards)]
    return [*map(Cell, words), *counts, count_cell(claim.verdict_draws)]


def _network(network: Network, test: Row | None) -> list[Cell]:
    words = [Cell(word) for word in (network.network, network.architecture, network.objective)]
    numbers = [count_cell(n) for n in (network.seed, network.parameters, network.epochs, network.seconds)]
    share = network.validation
    validation = NOTHING if share is None else Cell(f"{100 * share:.1f}", value=share)
    return [*words, *numbers, validation, rate_cell(test.rate, test.low, test.high) if test else NOTHING]
