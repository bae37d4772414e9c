"""The work at one place of a study's grid, in any process: train its network, attack and judge it."""

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

from variate.datasets.info import about
from variate.errors import UsageError, VariateError
from variate.evaluation.claims import look_at
from variate.evaluation.diagnostics import doubt
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.inputs.budget import Budget
from variate.random import plain
from variate.random.network import RandomNetwork
from variate.records.file import RECORDS, Records
from variate.records.schema import Part
from variate.study.file import Study
from variate.study.grid import JUDGED, TWINS, Folders, Place, fits, is_judged, is_trained, places, to_judge
from variate.training.processes import device_of
from variate.training.run_folder import describe, train_cell
from variate.training.saved import load, read_card

FROZEN_KEY = 0  # the draw of the frozen twin
CLEAN_DRAWS = 32  # fresh draws for the whole unattacked split
LOCK, FAILURE = "lock", "failure.txt"
PATIENCE = 10.0  # seconds to wait for a process that works at the same place, or that has just been killed

Step = Literal["train", "judge"]


@dataclass(frozen=True)
class Order:
    """What every process needs to know of a study; it can be sent to another machine that has the same folders."""

    study: Study
    out: Path
    folders: Folders = None
    accelerator: str = "auto"
    show_progress: bool = False

    def places(self) -> dict[str, Place]:
        """The grid."""
        return places(self.study, self.out, folders=self.folders, accelerator=self.accelerator)


@dataclass(frozen=True)
class Task:
    """A place by its name, and what is to be done there."""

    name: str
    steps: tuple[Step, ...]


def work(order: Order, task: Task) -> str | None:
    """Do a task; what its folder holds already is not done again.

    Returns:
        Why it failed, in a few lines; the whole traceback is in the folder. None if it is done.
    """
    grid = order.places()
    place = grid[task.name]
    note = place.folder / FAILURE
    try:
        with _alone(place.folder):
            if "train" in task.steps:
                train_cell(place.cell, place.folder, show_progress=order.show_progress)
            if "judge" in task.steps and not is_judged(order.study, place, grid):
                _judge(order, place, grid)
        note.unlink(missing_ok=True)
    except Exception as error:  # whatever it is, the other places go on
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(traceback.format_exc(), encoding="utf-8")
        said = str(error) if isinstance(error, VariateError) else f"{type(error).__name__}: {error}"
        return f"{said} (see {note})"
    return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes away from a folder; the system takes the lock from one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=PATIENCE):
            yield
    except Timeout:
        raise UsageError(f"another process works in {folder}", todo="wait for it, then run again") from None


def _judge(order: Order, place: Place, grid: Mapping[str, Place]) -> None:
    """Attack and judge a trained network under all budgets, and note that it is done."""
    missing = [name for name in place.sources if not is_trained(grid[name])]
    if missing:
        raise UsageError(f"{place.name} is attacked from networks that are not trained: {', '.join(missing)}")
    study, records = order.study, Records(place.folder / RECORDS)
    network, card = _loaded(place), read_card(place.folder)
    held = {name: _loaded(grid[name]) for name in place.sources}
    records.add(describe(card, network, place.name, group=place.group))
    x, y = place.cell.split(study.evaluation.split)
    _judge_network(study, place, network, x, y, records, held, order.show_progress)
    prints = {name: read_card(grid[name].folder).fingerprint for name in place.sources}
    judged = to_judge(study, place, card.fingerprint, prints)
    (place.folder / JUDGED).write_text(judged.model_dump_json(indent=2) + "\n", encoding="utf-8")


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
    """The whole split unattacked, then the table, the twins, the doubts and the curves of one network."""
    plan, name, seed = study.evaluation, place.name, place.cell.recipe.seed
    modality = about(place.cell.data, folder=place.cell.data_folder).modality
    judged = partial(evaluate, modality=modality, records=records, group=place.group, show_progress=show_progress)
    split: Part = "test split" if plan.split == "test" else "validation split"
    whole = Evaluation(budget=place.budgets[0], attacks=(), verdict_draws=CLEAN_DRAWS, seed=seed)
    judged(network, x, y, evaluation=whole, name=name, part=split)
    few, labels = x[: plan.examples], y[: plan.examples]
    owner = look_at(network, few).fingerprint
    for budget in place.budgets:
        attacks = [attack for attack in plan.attacks if fits(attack, budget, place.cell.data)]
        asked = replace(plan.options(seed), budget=budget, attacks=attacks)
        judged(network, few, labels, evaluation=asked, source=sources, name=name, pictures=True)
        if plan.doubts and budget == place.budgets[0]:
            doubting = partial(doubt, modality=modality, records=records, group=place.group)
            doubting(network, few, labels, evaluation=asked, source=sources, name=name, show_progress=show_progress)
        alone = replace(asked, deployments=("single",), suite=None, target=None)
        for twin, module in _twins(network).items():
            group = f"{place.group}, {twin}" if place.group is not None else None
            judging = partial(judged, evaluation=alone, source=sources, part="twins", twin_of=owner, group=group)
            judging(module, few, labels, name=place.twins[twin])
    _draw_curves(study, place, network, x, y, partial(judged, name=name))


def _twins(network: nn.Module) -> dict[str, nn.Module]:
    """The deterministic networks that a random one contains, by what they are."""
    if not isinstance(network, RandomNetwork):
        return {}
    return dict(zip(TWINS, (plain.mean(network), plain.at(network, FROZEN_KEY)), strict=True))


def _draw_curves(
    study: Study, place: Place, network: nn.Module, x: Tensor, y: Tensor, judged: Callable[..., Any]
) -> None:
    """PGD against the size of the first budget, and against the attack's draws."""
    curves, first, number = study.curves, place.budgets[0], study.evaluation.draws
    single = Evaluation(
        deployments=("single",), verdict_draws=study.evaluation.verdict_draws, seed=place.cell.recipe.seed
    )
    curve = partial(judged, network, x[: curves.examples], y[: curves.examples])
    pgd = {"name": "pgd", "steps": curves.steps}
    for size in curves.sizes_for(place.cell.data):
        budget = Budget.parse(first).with_size(size)
        curve(evaluation=replace(single, budget=budget, attacks=[{**pgd, "draws": number}]), part="sizes")
    if curves.draws and isinstance(network, RandomNetwork):
        attacks = [{**pgd, "draws": draws} for draws in curves.draws]
        curve(evaluation=replace(single, budget=first, attacks=attacks), part="draws")
