"""Studies: train, attack and judge a grid of networks with the same settings, every answer in one file of records.

Each network has its own folder and records, so the places of the grid can be processed in any order, in any process and
on any machine. The merged records hold those of all places, in the order of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import torch

from variate import registry
from variate.datasets.info import about
from variate.errors import UsageError, VariateError
from variate.evaluation.judge import check_draws
from variate.evaluation.measuring import check_metrics
from variate.evaluation.plan import Plan
from variate.evaluation.stateful import facing
from variate.evaluation.suites import suite_of
from variate.fields import built
from variate.inputs.budget import Budget
from variate.progress import Board, board
from variate.random.keys import Stream
from variate.records.file import RECORDS, Records
from variate.records.schema import RunLine
from variate.statistics.rates import Deployment
from variate.study.averages import check_averages, is_joined
from variate.study.certifying import check_certifications
from variate.study.engines.local import Outcome, run_here, run_in_processes
from variate.study.file import Defense, Study
from variate.study.grid import (
    TWINS,
    Folders,
    Place,
    adopt,
    averaged_points,
    fits,
    folder_for,
    folder_of,
    is_judged,
    is_trained,
    kind_of_data,
    merge,
    name_of,
    transfers,
)
from variate.study.work import Order, Step, Task
from variate.tasks.task import task_of
from variate.training.defense import defended, teacher_of
from variate.training.recipe import Recipe
from variate.training.run_folder import run_record
from variate.training.saved import build, load_start
from variate.training.validate_recipe import check_recipe, check_selection
from variate.training.wiring import wire

Engine = Literal["local", "ray"]


@dataclass(frozen=True)
class Where:
    """Where the tasks of a study run.

    Attributes:
        engine: ``local``: in this process, or in ``workers`` processes on this machine; ``ray``: on a Ray cluster.
        workers: number of processes on this machine.
        address: address of the Ray cluster; by default ``RAY_ADDRESS``, or else this machine.
        cpus, gpus: resources of each task on the cluster.
    """

    engine: Engine = "local"
    workers: int = 1
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0


HERE = Where()


def check_study(study: Study, *, folders: Folders = None) -> None:
    """Check, before hours are spent, that everything a study names exists and fits. Raises ``UsageError``."""
    for data in study.data:
        if not study.networks_for(data):
            raise UsageError(f"the study has no network for {data}", todo=f'networks = {{ {data} = ["mlp"] }}')
        _check_evaluation(study, data, folder_for(folders, data))
    check_certifications(study, folders)
    for attack in study.evaluation.attacks:
        plan = Plan.of(attack, study.evaluation.draws)
        if not any(fits(attack, budget, data) for data in study.data for budget in study.budgets_for(data)):
            norms = registry.get("attacks", plan.attack).facts["norms"]
            raise UsageError(
                f"{plan.attack} supports the norm of no budget", expected=f"a budget in {', '.join(norms)}"
            )
    check_draws([Deployment.parse(text) for text in study.evaluation.deployments], study.evaluation.verdict_draws)
    check_averages(study)
    names = [name_of(study, *point) for point in study.points()]
    averaged = averaged_points(study, study.points())
    names += [name_of(study, data, network, average, seed) for average, (data, network, _, seed) in averaged]
    names += [f"{name}, {twin}" for name in names for twin in TWINS]
    paths = [folder_of(name) for name in names]
    duplicates = sorted({name for name, path in zip(names, paths, strict=True) if paths.count(path) > 1})
    if duplicates:
        raise UsageError(
            "two networks have one name or folder", findings=duplicates, todo="give each defense its own name"
        )
    for data, network, defense, seed in study.points():
        if seed == study.seeds[0]:
            _check_network(study, data, network, defense, folder_for(folders, data))


def _check_evaluation(study: Study, data: str, folder: Path | None) -> None:
    """Check that attacks, metrics and curves suit the budgets and the task of a data set. Raises ``UsageError``."""
    modality, task = kind_of_data(data), task_of(about(data, folder=folder).task)
    check_metrics(study.evaluation.metrics, task)
    budgets = [Budget.parse(text) for text in study.budgets_for(data)]
    if not budgets:
        raise UsageError(f"the study has no budget for {data}", todo=f'budgets = {{ {data} = ["linf:0.1"] }}')
    for budget in budgets:
        modality.check_norm(budget)
        attacks = [attack for attack in study.evaluation.attacks if fits(attack, budget.text, data)]
        facing(attacks, study.evaluation.detector)
        for attack in attacks:
            Plan.of(attack, study.evaluation.draws).check_fit(budget, modality, task)
        if study.evaluation.suite is not None:
            table = study.evaluation
            aim, draws = table.target, table.draws
            suite_of(table.suite, budget, draws=draws, transfers=[], target=aim, modality=modality, task=task)
        elif not attacks:
            raise UsageError(f"no attack of the study supports {budget.norm}", todo="add one, or a suite")
    sizes = study.curves.sizes_for(data)
    if sizes or study.curves.draws:
        Plan.of("pgd", 1).check_fit(budgets[0], modality)
    for size in sizes:
        budgets[0].with_size(size)


def _check_network(study: Study, data: str, architecture: str, defense: Defense, folder: Path | None) -> None:
    """Check that a defense can be built into an architecture, and that its objective fits. Raises ``UsageError``."""
    facts, settings = about(data, folder=folder), study.settings(defense, data)
    teacher_objective = teacher_of(defense.defense) if settings.get("objective") is None else None
    with torch.random.fork_rng():
        plain = build(architecture, facts)
        if settings.get("start") is not None:
            load_start(plain, settings["start"], architecture)
        network, objective = defended(defense.defense, plain, shape=facts.shape)
    recipe = built(Recipe, {**settings, "objective": settings.get("objective") or objective})
    check_recipe(recipe, facts.modality)
    check_selection(recipe, validated=True)
    teacher = None if teacher_objective is None else plain
    wire(recipe, network, Stream("train", 0), teacher=teacher, modality=facts.modality, task=task_of(facts.task))


def run_study(
    study: Study,
    out: str | Path,
    *,
    command: str,
    folders: Folders = None,
    accelerator: str = "auto",
    where: Where = HERE,
    show_progress: bool = False,
) -> Records:
    """Train, attack and judge the networks of a study; results already in ``out`` are not computed again.

    Args:
        study: the study to run.
        out: folder for one folder per network and ``records.jsonl``; on a cluster, shared by all machines.
        command: command that runs the study, for the records.
        folders: folders of the data sets' files: one folder for all, or by name.
        accelerator: ``auto``, ``cpu``, ``cuda`` and so on, for training and attacks.
        where: processes or cluster to run on.
        show_progress: show progress bars on standard error.

    Returns:
        The merged records.

    Raises:
        UsageError: for a study that cannot be run, before anything is trained.
        VariateError: if some networks failed; all others are done, and their records are in ``out``.
    """
    check_study(study, folders=folders)
    in_process = where.engine == "local" and where.workers == 1
    out = Path(out).absolute()
    data_folders = {data: folder.absolute() for data in study.data if (folder := folder_for(folders, data)) is not None}
    order = Order(study, out, data_folders, accelerator, show_progress and where.engine == "local")
    grid = order.places()
    whole = Records(out / RECORDS)
    runs = _runs(study, list(grid.values()), command, whole)
    adopt(grid.values(), whole)
    merge(grid.values(), runs, out)
    failures: dict[str, str] = {}
    done = sum(is_judged(study, place, grid) for place in grid.values())
    with board(study.title, len(grid), "networks", already=done, show=show_progress and not in_process) as shown:
        for names, steps in _rounds(study, grid):
            tasks = [
                Task(name, steps) for name in names if name not in failures and not _is_done(order, grid, name, steps)
            ]
            for task, failure in _run(order, tasks, where, shown):
                failures |= {task.name: failure} if failure else {}
                shown.report(sum(is_judged(study, place, grid) for place in grid.values()), f"{task.name} finished")
    records = merge(grid.values(), runs, out)
    if failures:
        raise VariateError(
            f"{len(failures)} of {len(grid)} networks failed; the others are in {out / RECORDS}",
            findings=[f"{name}: {reason}" for name, reason in failures.items()],
            todo="fix the cause and run the same command again: it does only what is left",
        )
    return records


def _rounds(study: Study, grid: dict[str, Place]) -> list[tuple[list[str], tuple[Step, ...]]]:
    """The names and the steps of each round: the first seed of every network comes before the second of any.

    A network is averaged, or attacked from, in a later round than it is trained in.
    """
    by_seed = sorted(grid, key=lambda name: study.seeds.index(grid[name].cell.recipe.seed))
    trained = [name for name in by_seed if not grid[name].members]
    averages = [name for name in by_seed if grid[name].members]
    if transfers(study):
        return [(trained, ("train",)), (averages, ("train",)), (by_seed, ("judge",))]
    return [(trained, ("train", "judge")), (averages, ("train", "judge"))]


def _is_done(order: Order, grid: dict[str, Place], name: str, steps: Sequence[Step]) -> bool:
    """Whether a task has nothing left to do; the task itself reports a network trained with other settings."""
    try:
        trained = is_joined(grid[name], grid) if grid[name].members else is_trained(grid[name])
    except VariateError:
        return False
    return trained and ("judge" not in steps or is_judged(order.study, grid[name], grid))


def _run(order: Order, tasks: Sequence[Task], where: Where, shown: Board) -> Iterator[Outcome]:
    if not tasks:
        return iter(())
    if where.engine == "ray":
        from variate.study.engines.ray import run_with_ray

        return run_with_ray(order, tasks, address=where.address, cpus=where.cpus, gpus=where.gpus)
    if where.workers == 1:
        return run_here(order, tasks)
    return run_in_processes(order, tasks, workers=where.workers, board=shown)


def _runs(study: Study, grid: Sequence[Place], command: str, whole: Records) -> list[RunLine]:
    """Lines on how the records are made, by data set and seed; lines already in the records are kept."""
    evaluation = study.evaluation
    title = study.title if evaluation.split == "test" else f"{study.title} ({evaluation.split} split)"
    existing = {(run.data, run.seed): run for run in whole.runs}
    cells = {place.cell.data: place.cell for place in grid}
    inputs = {data: cell.split(evaluation.split)[0][: evaluation.examples] for data, cell in cells.items()}
    names = {data: about(data, folder=cell.data_folder).labels for data, cell in cells.items()}
    return [
        existing.get((data, seed))
        or run_record(command=command, title=title, data=data, seed=seed, x=inputs[data], labels=names[data])
        for data, seed in product(study.data, study.seeds)
    ]
