"""What a training would do: its batches and passes, counted, and the time of one real batch times their number.

Nothing is written, and what is trained on the way is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

from torch import Tensor, nn

from variate.datasets.batches import Batches
from variate.datasets.info import About, about
from variate.training.cell import Cell
from variate.training.defense import teacher_of
from variate.training.recipe import Recipe
from variate.training.run_folder import made
from variate.training.saved import build
from variate.training.train import train
from variate.training.validation import ATTACKED_AT_ONCE, CLEAN_AT_ONCE, accuracy, robust_accuracy


@dataclass(frozen=True)
class Part:
    """A part of the work, made of batches that cost alike.

    Attributes:
        what: an attack, or the epochs of a training.
        batches: how many.
        forwards, backwards: passes of the network for each batch, as the records count them.
        judging: forward passes of the verdict for each batch.
        batch_seconds: time of one batch.
    """

    what: str
    batches: int
    forwards: int
    backwards: int
    judging: int
    batch_seconds: float

    @property
    def seconds(self) -> float:
        """Time of all batches."""
        return self.batches * self.batch_seconds


def of_training(cell: Cell) -> Iterator[Part]:
    """The epochs of a training run and their validation, after those of its teacher, if it learns from one."""
    taught = teacher_of(cell.defense) if cell.recipe.objective is None else None
    if taught is not None:
        lesson = replace(cell, defense="deterministic", recipe=replace(cell.recipe, objective=taught))
        yield from (replace(part, what=f"teacher, {part.what}") for part in of_training(lesson))
    facts = about(cell.data, folder=cell.data_folder)
    network, recipe = made(cell, facts)
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    batches = Batches(x, y, batch_size=cell.batch_size, seed=recipe.seed)
    teacher = build(cell.network, facts) if taught is not None else None
    alike = replace(recipe, warmup=0.0, swa=0, patience=None, keep="last", accumulate=1, devices=1, log=None)
    tried = replace(alike, epochs=2)  # of one batch each; the first loads and compiles what the second only uses
    with _passes(network) as passes:
        loader = _OneBatch(next(iter(batches)), passes)
        train(network, loader, recipe=tried, teacher=teacher, modality=facts.modality)
        seconds = perf_counter() - loader.begun
    what = f"{cell.defense}: {recipe.epochs} epochs of {len(batches)} batches"
    yield Part(what, recipe.epochs * len(batches), passes[0], passes[1], 0, seconds)
    yield from _of_validation(cell, recipe, network, facts)


class _OneBatch:
    """A loader of one batch, that notes when its last epoch began and counts passes from there."""

    def __init__(self, batch: tuple[Tensor, Tensor], passes: list[int]) -> None:
        self.batch, self.passes, self.begun = batch, passes, 0.0

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes[:], self.begun = [0, 0], perf_counter()
        yield self.batch


def _of_validation(cell: Cell, recipe: Recipe, network: nn.Module, facts: About) -> Iterator[Part]:
    """The accuracies that are measured after every epoch: clean, and under PGD where it chooses the epoch."""
    x, y = cell.split("validation")
    run: dict[str, Any] = {"seed": recipe.seed, "epoch": 0}
    clean = partial(accuracy, network, x[:CLEAN_AT_ONCE], y[:CLEAN_AT_ONCE], **run)
    yield _measured("validation", network, clean, recipe.epochs * -(-len(x) // CLEAN_AT_ONCE))
    if recipe.budget is None or not recipe.selects:
        return
    examples, steps = min(recipe.validation_examples, len(x)), recipe.validation_steps
    run |= {
        "budget": recipe.budget,
        "steps": steps,
        "examples": min(examples, ATTACKED_AT_ONCE),
        "modality": facts.modality,
    }
    batches = recipe.epochs * -(-examples // ATTACKED_AT_ONCE)
    attacked = partial(robust_accuracy, network, x, y, **run)
    yield _measured(f"validation under PGD, {steps} steps", network, attacked, batches)


def _measured(what: str, network: nn.Module, run: Callable[[], object], batches: int) -> Part:
    with _passes(network) as passes:
        begun = perf_counter()
        run()
        return Part(what, batches, passes[0], passes[1], 0, perf_counter() - begun)


@contextmanager
def _passes(network: nn.Module) -> Iterator[list[int]]:
    """How often a network is passed, forward and backward, meanwhile."""
    passes = [0, 0]

    def back(_: Tensor) -> None:
        passes[1] += 1

    def forward(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
        passes[0] += 1
        if isinstance(outputs, Tensor) and outputs.requires_grad:
            outputs.register_hook(back)  # type: ignore[no-untyped-call]

    hook = network.register_forward_hook(forward)
    try:
        yield passes
    finally:
        hook.remove()
