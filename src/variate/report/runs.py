"""Several runs on one page: the paired difference between them where they share examples, and their tables merged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import NetworkLine
from variate.report import single
from variate.report.estimate import doubts_of, estimate_of, still_gaining
from variate.report.headline import Headline, Tone, compared_headline, doubted, judged_claim, sentence_of, tone_of
from variate.report.paired import ENDS, difference_cell, missed_cell
from variate.report.sheet import Head, ReportTable, TableCell, count_cell, grid_sheet, row_cell
from variate.report.table import TABLES, legend_of, study_grids, titled
from variate.statistics.comparison import Comparison, compare
from variate.statistics.crossed import Scores
from variate.statistics.notation import percent, quoted
from variate.statistics.seeds import compare_seeds

OWN = ("seed", "start")  # settings of a training that belong to its seed; a start is the network of that seed


@dataclass(frozen=True)
class Runs:
    """What several runs show together.

    Attributes:
        headline: the verdict on the most accurate of those that share examples and budget; None if no two do.
        differences: the most accurate one minus each other one; None if fewer than three share their examples.
        seeds: the same over networks that differ in their training seed alone; None without two such groups that share
            two seeds.
        tables: the tables of all runs, merged; the first column holds the number of the run, from 1.
        legend: what the numbers of the tables are.
    """

    headline: Headline | None
    differences: ReportTable | None
    seeds: ReportTable | None
    tables: list[tuple[str, ReportTable]]
    legend: str


@dataclass(frozen=True)
class _Side:
    """The network of one run, under its own strongest attack."""

    number: int
    records: Records
    claim: Claim

    @property
    def label(self) -> str:
        return f"{self.number}: {self.claim.network}"

    @property
    def share(self) -> float:
        return single.share(self.records, self.claim)

    @property
    def right(self) -> Scores:
        return single.bits(self.records, self.claim)

    @property
    def described(self) -> NetworkLine | None:
        return self.records.networks.get(self.claim.network)

    def minus(self, other: _Side) -> Comparison:
        return compare(self.right, other.right)


def compare_runs(runs: Sequence[Records]) -> Runs:
    """What two or more sets of records show together."""
    sides = _comparable(runs)
    verdict = _headline(sides) if len(sides) > 1 else None
    measure = single.measured(*runs).noun
    tables = [(titled(title, measure), table) for title, table in merged(runs)]
    differences = _differences(sides) if len(sides) > 2 else None
    return Runs(verdict, differences, _over_seeds(sides), tables, legend_of(*runs))


def merged(runs: Sequence[Records]) -> list[tuple[str, ReportTable]]:
    """The tables that two or more runs have, merged, with repeated queries apart."""
    grids = [(str(number), dict(study_grids(run))) for number, run in enumerate(runs, start=1)]
    tables = []
    for name in TABLES.values():
        own = [(number, by_name[name]) for number, by_name in grids if name in by_name]
        for title, repeated in ((name, False), (f"{name} when queries repeat", True)):
            table = grid_sheet(own, repeated=repeated) if len(own) > 1 else None
            tables += [(title, table)] if table is not None else []
    return tables


def _comparable(runs: Sequence[Records]) -> list[_Side]:
    """The runs judged on the same examples within one budget, the most accurate first: the largest such group."""
    groups: dict[tuple[object, ...], list[_Side]] = {}
    for number, records in enumerate(runs, start=1):
        claim = judged_claim(records)
        if claim is not None:
            examples = frozenset(records.examples[claim.id])
            key = (claim.inputs, claim.task, claim.modality, claim.allowed, claim.budget, examples)
            groups.setdefault(key, []).append(_Side(number, records, claim))
    largest: list[_Side] = max(groups.values(), key=len, default=[])
    return sorted(largest, key=lambda side: -side.share)


def _headline(sides: Sequence[_Side]) -> Headline:
    best, rival = sides[:2]
    difference = best.minus(rival)
    tone = tone_of(difference, choices=len(sides))
    estimates = [
        replace(estimate_of(side.records, side.claim, of=side.claim.network), label=side.label) for side in sides
    ]
    row = single.row(best.records, best.claim)
    basis = (
        f"Each network under its own strongest attack ({row.budget}), paired on the same {row.examples} examples; "
        f"{quoted(best.label)} is the best of {len(sides)}, selected on these examples. {sentence_of(difference.power)}"
    )
    training = still_gaining(*((side.records, side.claim) for side in (best, rival)))
    basis = " ".join(filter(None, [basis, training]))
    doubts = [flag for side in (best, rival) for flag in doubts_of(side.records, side.claim)]
    finding = _finding(best.label, rival.label, tone)
    verdict = compared_headline(tone, finding, difference, rival.label, estimates, basis, choices=len(sides))
    measure = single.measured(*(side.records for side in sides)).noun
    return doubted(replace(verdict, measure=measure), doubts)


def _finding(best: str, rival: str, tone: Tone) -> str:
    relation = "is more robust than" if tone == "gain" else "is not shown to differ from"
    return f"{quoted(best)} {relation} {quoted(rival)}"


def _differences(sides: Sequence[_Side]) -> ReportTable:
    """The most accurate run minus each other one."""
    best, *others = sides
    heads: list[Head] = [("run",), ("other run",), ("attack", "on the run"), ("attack", "on the other")]
    column = f"{single.measured(best.records).column}, %"
    heads += [(column, "run"), (column, "other"), *ENDS]
    lines = []
    for other in others:
        words = [best.label, other.label, *(single.attack_words(side.claim) for side in (best, other))]
        rates = [row_cell(single.row(side.records, side.claim)) for side in (best, other)]
        examples = count_cell(len(other.records.examples[other.claim.id]))
        difference = best.minus(other)
        ends = [difference_cell(difference), missed_cell(difference), examples]
        lines.append([*map(TableCell, words), *rates, *ends])
    return ReportTable(heads, lines, words=4)


def _over_seeds(sides: Sequence[_Side]) -> ReportTable | None:
    """The most accurate training minus each other one, over the seeds that both have."""
    groups: dict[str, dict[int, _Side]] = {}
    for side in sides:
        line = side.described
        if line is not None:
            training = {name: value for name, value in line.training.items() if name not in OWN}
            facts = [line.architecture, line.defense, line.objective, sorted(training.items())]
            groups.setdefault(json.dumps(facts, default=str), {}).setdefault(line.seed, side)
    several = [by_seed for by_seed in groups.values() if len(by_seed) > 1]
    if len(several) < 2:
        return None
    best, *others = sorted(several, key=lambda by_seed: -fmean(side.share for side in by_seed.values()))
    lines = [_seed_cells(best, other) for other in others if len(best.keys() & other.keys()) > 1]
    measured = f"{single.measured(*(side.records for side in sides)).column}, %"
    heads: list[Head] = [
        ("runs",),
        ("other runs",),
        ("seeds",),
        (measured, "runs"),
        (measured, "others"),
        *ENDS,
    ]
    return ReportTable(heads, lines, words=2) if lines else None


def _seed_cells(best: dict[int, _Side], other: dict[int, _Side]) -> list[TableCell]:
    """One line of the table over seeds."""
    pairs = [(best[seed], other[seed]) for seed in sorted(best.keys() & other.keys())]
    difference = compare_seeds([(one.right, another.right) for one, another in pairs])
    words, rates = [], []
    for sides in zip(*pairs, strict=True):
        defenses = dict.fromkeys(side.described.defense for side in sides if side.described is not None)
        words.append(TableCell(f"{', '.join(str(side.number) for side in sides)}: {', '.join(defenses)}"))
        share = fmean(side.share for side in sides)
        rates.append(TableCell(percent(share), value=share, share=share))
    examples = count_cell(pairs[0][0].right.shape[1])
    return [*words, count_cell(len(pairs)), *rates, difference_cell(difference), missed_cell(difference), examples]
