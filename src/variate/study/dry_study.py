"""Estimate the cost of a study: the training of each network, and what ``variate.study.work`` judges it by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from variate.evaluation.plan import Plan
from variate.inputs.budget import Budget
from variate.random.network import RandomNetwork
from variate.records.rows import CLEAN
from variate.study.averages import as_one
from variate.study.dry_evaluation import Counts, Evaluated, of_doubts
from variate.study.dry_training import Workload, of_training
from variate.study.file import Study
from variate.study.grid import TWINS, Place, fits
from variate.study.work import CLEAN_DRAWS
from variate.tasks.task import task_of
from variate.training.cell import Cell
from variate.training.processes import device_of
from variate.training.run_folder import untrained


def of_study(study: Study, places: Sequence[Place]) -> Iterator[tuple[str, list[Workload]]]:
    """The workloads of each network of a study, with its name; networks that differ only in their seed share them."""
    measured: dict[tuple[Cell, int, int], list[Workload]] = {}
    counts: dict[str, Counts] = {}
    for place in places:
        cell = replace(place.cell, recipe=replace(place.cell.recipe, seed=0))
        kind = cell, len(place.sources), len(place.members)
        if kind not in measured:
            data_counts = counts.setdefault(place.cell.data, {})
            training = () if place.members else of_training(place.cell)
            measured[kind] = [*training, *_of_judging(study, place, data_counts)]
        yield place.name, measured[kind]


def _of_judging(study: Study, place: Place, counts: Counts) -> Iterator[Workload]:
    """The workloads of ``variate.study.work`` for one network: whole split, table, twins, red flags and curves."""
    cell, plan, curves = place.cell, study.evaluation, study.curves
    facts = cell.about()
    network = untrained(cell, facts)[0].eval().to(device_of(cell.recipe.accelerator))
    network = as_one([network] * len(place.members)).eval() if place.members else network
    x, y = cell.split(plan.split)
    whole = Evaluated(network, x, y, plan.batch_size, facts.modality, task_of(facts.task), place.sources, counts)
    examples: dict[str, Any] = {"examples": plan.examples}
    draws, first = plan.verdict_draws, Budget.parse(place.budgets[0])
    yield whole.workload(Plan.of(CLEAN, 1), first, CLEAN_DRAWS)
    for budget in map(Budget.parse, place.budgets):
        attacks = [attack for attack in plan.attacks if fits(attack, budget.text, cell.data)]
        table = [Plan.of(CLEAN, plan.draws), *(Plan.of(attack, plan.draws) for attack in attacks)]
        for row in table:
            yield whole.workload(row, budget, draws, **examples)
        if plan.suite is not None:
            yield whole.workload(whole.suite(plan, budget, plan.draws), budget, draws, **examples)
        for row in table if isinstance(network, RandomNetwork) and place.twins else ():
            yield whole.workload(row, budget, draws, **examples, mean=True, times=len(TWINS), prefix="twins: ")
    if plan.doubts:
        yield from of_doubts(whole, first, plan.draws, draws)
    pgd = {"name": "pgd", "steps": curves.steps}
    points = [(first.with_size(size), plan.draws) for size in curves.sizes_for(cell.data)]
    points += [(first, averaged) for averaged in curves.draws if isinstance(network, RandomNetwork)]
    for budget, averaged in points:
        yield whole.workload(Plan.of(pgd, averaged), budget, draws, examples=curves.examples, prefix="curve: ")
    for certification in study.certify:
        if sizes := certification.radii_for(cell.data):
            yield from whole.certification(certification, len(sizes))
