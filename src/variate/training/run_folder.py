"""The folder of one trained network: train a cell into it, and describe the network in records."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from variate import registry
from variate.datasets.batches import Batches
from variate.datasets.info import About
from variate.errors import UsageError
from variate.fields import defaults_of
from variate.files.reading import check_folder
from variate.hashing import fingerprint
from variate.options import parse
from variate.random import measures
from variate.random.inside import contains_random
from variate.random.keys import hash_words
from variate.random.packing import settle, stored_bytes
from variate.random.priors import priors_of
from variate.records.schema import NetworkLine, Record, RunLine, Scale
from variate.tasks.task import task_of, written
from variate.training.cell import Cell
from variate.training.defense import defended, teacher_of
from variate.training.history import History
from variate.training.processes import is_first_process
from variate.training.recipe import Recipe
from variate.training.saved import CARD, Card, build, families_of, load, load_start, read_card, save, versions
from variate.training.train import train

TEACHER = "teacher"  # folder of the teacher within that of the cell


def train_cell(cell: Cell, out: Path, *, show_progress: bool = False) -> Card:
    """Train the network of a cell into a folder; a finished one is kept, an unfinished one resumed.

    Returns:
        The card of the saved network.
    """
    check_folder(out)
    if (out / CARD).exists():
        card = read_card(out)
        new = cell.training()
        defaults = {name: default for name, default in defaults_of(Cell).items() if name in new}
        saved = defaults | card.training  # an older card may lack newer options
        if saved == new:
            return card
        raise UsageError(
            f"{out} holds a network that was trained otherwise",
            findings=[f"{k}: {v!r} there, {new.get(k)!r} now" for k, v in saved.items() if new.get(k) != v],
            todo="choose another --out, or delete the folder",
        )
    facts = cell.about()
    teacher_objective = teacher_of(cell.defense) if cell.recipe.objective is None else None
    if teacher_objective is not None:
        teacher_recipe = replace(cell.recipe, objective=teacher_objective)
        teacher_cell = replace(cell, defense="deterministic", recipe=teacher_recipe)
        train_cell(teacher_cell, out / TEACHER, show_progress=show_progress)
    task, (network, recipe) = task_of(facts.task), untrained(cell, facts)
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    state = out / "training.safetensors"
    started = time.monotonic()
    history = train(
        network,
        Batches(x, y, batch_size=cell.batch_size, seed=cell.recipe.seed),
        recipe=recipe,
        teacher=load(out / TEACHER, trust_code=True) if teacher_objective is not None else None,
        modality=facts.modality,
        task=task,
        validation=cell.split("validation"),
        log_folder=out / str(recipe.log),
        checkpoint=state,
        origin=cell.training(),
        name=cell.defense,
        show_progress=show_progress,
    )
    network.cpu()
    settle(network)
    card = Card(
        architecture=cell.network,
        shape=list(facts.shape),
        classes=facts.classes,
        mean=list(facts.mean),
        std=list(facts.std),
        kind=facts.kind,
        labels=list(facts.labels),
        details=dict(facts.details),
        task=written(task),
        families=families_of(network),
        priors=priors_of(network),
        defense=cell.defense,
        objective=recipe.objective_or_default,
        data=cell.data,
        seed=recipe.seed,
        training=cell.training(),
        history={name: points for name, points in asdict(history).items() if points and name != "curve"},
        curve=history.curve,
        seconds=round(time.monotonic() - started, 1),
        versions=versions(),
        fingerprint=fingerprint(network.state_dict()),
    )
    if is_first_process():
        save(network, out, card)
        state.unlink(missing_ok=True)
    return card


def untrained(cell: Cell, facts: About) -> tuple[nn.Module, Recipe]:
    """The network of a cell before training, always the same, and its recipe with objective and budget filled in.

    Unless the cell sets its own, the objective is that of the defense and the budget that of the data set, if any.
    """
    with torch.random.fork_rng():
        torch.manual_seed(hash_words("initialize", cell.recipe.seed) % 2**32)
        plain = build(cell.network, facts)
    if cell.start is not None:
        load_start(plain, cell.start, cell.network)
    network, objective = defended(cell.defense, plain, shape=facts.shape)
    own = cell.recipe
    if own.objective is not None:
        objective = own.objective
    budget = facts.budget or None if own.budget is None else own.budget
    return network, replace(own, objective=objective, budget=budget)


def check_same_data(card: Card, facts: About, run: Path) -> None:
    """Raise ``UsageError`` if inputs mean something else than in training: other words, features or classes."""
    then = {"classes": card.labels or list(facts.labels), "features or words": card.details}  # older cards lack names
    now = {"classes": list(facts.labels), "features or words": json.loads(json.dumps(dict(facts.details)))}
    changed = [name for name in then if then[name] != now[name]]
    if changed:
        raise UsageError(
            f"{card.data} is not the data that {run} was trained on: other {' and '.join(changed)}",
            todo="pass the --data-folder of the training, or train again",
        )


def validation_accuracy(card: Card) -> float | None:
    """Validation accuracy after the epoch that was kept; None without a validation split."""
    history = History.restored(card.history)
    if not history.validation:
        return None
    return history.validation[history.best if card.training.get("keep") == "best" else -1]


def describe(card: Card, network: nn.Module, name: str, *, group: str | None = None) -> list[Record]:
    """The records of a trained network: how it was trained, and its learned scales.

    Args:
        card: card of the saved network.
        network: the trained network.
        name: name of the network in the records.
        group: name shared with networks that differ only in their seed.
    """
    lines: list[Record] = [
        NetworkLine(
            network=name,
            architecture=card.architecture,
            defense=card.defense,
            objective=card.objective,
            parameters=sum(p.numel() for p in network.parameters()),
            bytes=stored_bytes(network),
            random=contains_random(network)
            or bool(registry.get("defenses", parse(card.defense, "a defense")[0]).facts["random"]),
            epochs=len(card.history["losses"]),
            seed=card.seed,
            fingerprint=card.fingerprint,
            training=card.training,
            validation=validation_accuracy(card),
            seconds=card.seconds,
            curve=card.curve,
            group=group,
        )
    ]
    if contains_random(network):
        sizes = measures.sizes(network)
        for parameter, std in measures.stds(network).items():
            values = std.detach()
            lines.append(
                Scale(
                    network=name,
                    parameter=parameter,
                    elements=values.numel(),
                    mean_rms=float(sizes[parameter]),
                    std_rms=float(values.square().mean().sqrt()),
                    std_min=float(values.min()),
                    std_max=float(values.max()),
                )
            )
    return lines


def run_record(*, command: str, title: str, data: str, seed: int, x: Tensor, labels: Sequence[str] = ()) -> RunLine:
    """The record of a run: command, date, machine and versions, and the names of the classes of its inputs."""
    return RunLine(
        command=command,
        title=title,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.machine()}, {torch.get_num_threads()} threads, {platform.system()}",
        versions=versions(),
        seed=seed,
        data=data,
        shape=list(x.shape[1:]),
        examples=len(x),
        labels=list(labels),
    )
