"""The work for one network of a study, in any process: train it, attack it and judge it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from torch import Tensor, nn

from variate.errors import UsageError, VariateError
from variate.evaluation.claims import look_at
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.thresholds import filled
from variate.inputs.budget import Budget
from variate.random import plain
from variate.random.network import RandomNetwork
from variate.records.claim import Part
from variate.records.file import RECORDS, Records
from variate.study.averages import join
from variate.study.certifying import prove
from variate.study.file import Study
from variate.study.grid import JUDGED, TWINS, Folders, Place, fits, is_judged, is_trained, judged_with, places
from variate.tasks.task import task_of
from variate.training.processes import device_of
from variate.training.run_folder import describe, train_cell
from variate.training.saved import load, read_card

FROZEN_KEY = 0  # key of the frozen twin's draw
CLEAN_DRAWS = 32  # fresh draws to judge the whole split without attack
LOCK, FAILURE = "lock", "failure.txt"
PATIENCE = 10.0  # seconds to wait for a process that holds the same folder, or was just killed

Step = Literal["train", "judge"]


@dataclass(frozen=True)
class Order:
    """A study and where it runs, sent to every process; another machine needs the same folders."""

    study: Study
    out: Path
    folders: Folders = None
    accelerator: str = "auto"
    show_progress: bool = False

    def places(self) -> dict[str, Place]:
        """The places of the grid, by name."""
        return places(self.study, self.out, folders=self.folders, accelerator=self.accelerator)


@dataclass(frozen=True)
class Task:
    """A place, by name, and the steps to do there."""

    name: str
    steps: tuple[Step, ...]


def work(order: Order, task: Task) -> str | None:
    """Do a task, except for what its folder holds already.

    Returns:
        The reason of a failure, in a few lines (the traceback is in the folder); None for success.
    """
    grid = order.places()
    place = grid[task.name]
    note = place.folder / FAILURE
    try:
        with _locked(place.folder):
            if "train" in task.steps and place.members:
                join([grid[name] for name in place.members], place)
            elif "train" in task.steps:
                train_cell(place.cell, place.folder, show_progress=order.show_progress)
            if "judge" in task.steps and not is_judged(order.study, place, grid):
                _judge(order, place, grid)
        note.unlink(missing_ok=True)
    except Exception as error:  # any failure: the other places continue
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(traceback.format_exc(), encoding="utf-8")
        reason = str(error) if isinstance(error, VariateError) else f"{type(error).__name__}: {error}"
        return f"{reason} (see {note})"
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes; the system releases the lock of a process that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=PATIENCE):
            yield
    except Timeout:
        raise UsageError(f"another process works in {folder}", todo="wait for it, then run again") from None


def _judge(order: Order, place: Place, grid: Mapping[str, Place]) -> None:
    """Attack and judge a trained network under all budgets, then mark it as done."""
    missing = [name for name in place.sources if not is_trained(grid[name])]
    if missing:
        raise UsageError(f"{place.name} is attacked from networks that are not trained: {', '.join(missing)}")
    study, records = order.study, Records(place.folder / RECORDS)
    network, card = _loaded(place), read_card(place.folder)
    sources = {name: _loaded(grid[name]) for name in place.sources}
    records.add(describe(card, network, place.name, group=place.group))
    x, y = place.cell.split(study.evaluation.split)
    _judge_network(study, place, network, x, y, records, sources, order.show_progress)
    prints = {name: read_card(grid[name].folder).fingerprint for name in place.sources}
    settings = judged_with(study, place, card.fingerprint, prints)
    (place.folder / JUDGED).write_text(settings.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _loaded(place: Place) -> nn.Module:
    trusted = read_card(place.folder).architecture == place.cell.network  # the study names the code itself
    return load(place.folder, trust_code=trusted).to(device_of(place.cell.recipe.accelerator))


def _judge_network(
    study: Study,
    place: Place,
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    records: Records,
    sources: Mapping[str, nn.Module],
    show_progress: bool,
) -> None:
    """Judge one network: the whole split without attack, the table, the twins, red flags, curves and certificates."""
    plan, name, seed = study.evaluation, place.name, place.cell.recipe.seed
    facts = place.cell.about()
    modality, task = facts.modality, task_of(facts.task)
    judge = partial(
        evaluate, modality=modality, task=task, records=records, group=place.group, show_progress=show_progress
    )
    split: Part = "test split" if plan.split == "test" else "validation split"
    whole = Evaluation(budget=place.budgets[0], attacks=(), verdict_draws=CLEAN_DRAWS, seed=seed)
    judge(network, x, y, evaluation=whole, name=name, part=split)
    few, labels = x[: plan.examples], y[: plan.examples]
    other = partial(place.cell.split, "validation" if plan.split == "test" else "train")
    thresholds = partial(filled, network=network, split=other, task=task, seed=seed)
    metrics = thresholds(plan.metrics)
    owner = look_at(task.answers(network), few).fingerprint
    for budget in place.budgets:
        attacks = [attack for attack in plan.attacks if fits(attack, budget, place.cell.data)]
        table = replace(plan.options(seed), budget=budget, attacks=attacks, metrics=metrics)
        judge(network, few, labels, evaluation=table, source=sources, name=name, pictures=True)
        if plan.doubts and budget == place.budgets[0]:
            measure = partial(doubt, modality=modality, task=task, records=records, group=place.group)
            measure(network, few, labels, evaluation=table, source=sources, name=name, show_progress=show_progress)
        single = replace(table, deployments=("single",), suite=None, target=None)
        for twin, module in (_twins(network) if place.twins else {}).items():
            group = f"{place.group}, {twin}" if place.group is not None else None
            own = replace(single, metrics=thresholds(plan.metrics, network=module))
            judge_twin = partial(judge, evaluation=own, source=sources, part="twins", twin_of=owner, group=group)
            judge_twin(module, few, labels, name=place.twins[twin])
    _draw_curves(study, place, network, x, y, partial(judge, name=name))
    for certification in study.certify:
        prove(certification, place, network, x, y, records, show_progress=show_progress)


def _twins(network: nn.Module) -> dict[str, nn.Module]:
    """The deterministic networks that a random one contains: its mean and one frozen draw."""
    if not isinstance(network, RandomNetwork):
        return {}
    return dict(zip(TWINS, (plain.mean(network), plain.at(network, FROZEN_KEY)), strict=True))


def _draw_curves(
    study: Study, place: Place, network: nn.Module, x: Tensor, y: Tensor, judge: Callable[..., Any]
) -> None:
    """Judge under PGD over the sizes of the first budget, and over the attack's draws."""
    curves, first, draws = study.curves, place.budgets[0], study.evaluation.draws
    single = Evaluation(
        deployments=("single",), verdict_draws=study.evaluation.verdict_draws, seed=place.cell.recipe.seed
    )
    curve = partial(judge, network, x[: curves.examples], y[: curves.examples])
    pgd = {"name": "pgd", "steps": curves.steps}
    for size in curves.sizes_for(place.cell.data):
        budget = Budget.parse(first).with_size(size)
        curve(evaluation=replace(single, budget=budget, attacks=[{**pgd, "draws": draws}]), part="sizes")
    if curves.draws and isinstance(network, RandomNetwork):
        attacks = [{**pgd, "draws": averaged} for averaged in curves.draws]
        curve(evaluation=replace(single, budget=first, attacks=attacks), part="draws")
