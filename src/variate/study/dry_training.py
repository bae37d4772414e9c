"""Estimate the cost of a training run: count its batches and passes, and time one real batch.

Nothing is written, and the networks trained for the estimate are discarded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from torch import Tensor, nn

from variate.datasets.batches import Batches
from variate.datasets.info import About
from variate.random.keys import Stream
from variate.tasks.task import task_of
from variate.training.cell import Cell
from variate.training.clock import Clock
from variate.training.defense import teacher_of
from variate.training.deployed import trained_draws
from variate.training.learning_curve import CurvePlan, plan_of
from variate.training.recipe import Recipe
from variate.training.run_folder import untrained
from variate.training.saved import build
from variate.training.train import train
from variate.training.validation import ATTACKED_AT_ONCE, CLEAN_AT_ONCE
from variate.training.wiring import wire

BACKWARD = 2  # forward passes that take as long as one backward pass


@dataclass(frozen=True)
class Workload:
    """A part of the work: batches of equal cost.

    Attributes:
        what: description, such as an attack or the epochs of a training run.
        batches: number of batches.
        forwards, backwards: passes of the network per batch, counted as in the records.
        judging: forward passes of the verdict per batch.
        batch_seconds: time of one batch, in seconds.
        by_attack: for a suite, forward and backward passes of each attack per batch, and their seconds.
    """

    what: str
    batches: int
    forwards: int
    backwards: int
    judging: int
    batch_seconds: float
    by_attack: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time of all batches, in seconds."""
        return self.batches * self.batch_seconds


def of_training(cell: Cell) -> Iterator[Workload]:
    """The epochs of a training run and their validation, preceded by those of its teacher if it has one."""
    teacher_objective = teacher_of(cell.defense) if cell.recipe.objective is None else None
    if teacher_objective is not None:
        recipe = replace(cell.recipe, objective=teacher_objective)
        teacher_cell = replace(cell, defense="deterministic", recipe=recipe)
        yield from (replace(load, what=f"teacher, {load.what}") for load in of_training(teacher_cell))
    facts = cell.about()
    network, recipe = untrained(cell, facts)
    x, y = (part[: cell.train_examples] for part in cell.split("train"))
    batches = Batches(x, y, batch_size=cell.batch_size, seed=recipe.seed)
    teacher = build(cell.network, facts) if teacher_objective is not None else None
    plain = replace(recipe, warmup=0.0, swa=0, patience=None, keep="last", accumulate=1, devices=1, log=None)
    trial = replace(plain, epochs=2)  # one batch each: the first epoch warms up, the second is timed
    with _passes(network) as passes:
        loader = _OneBatch(next(iter(batches)), passes)
        train(network, loader, recipe=trial, teacher=teacher, modality=facts.modality, task=task_of(facts.task))
        seconds = perf_counter() - loader.started
    what = f"{cell.defense}: {recipe.epochs} epochs of {len(batches)} batches"
    yield Workload(what, recipe.epochs * len(batches), passes[0], passes[1], 0, seconds)
    draws = trained_draws(recipe, network)  # whose mean is validated
    one_pass = seconds / max(1, passes[0] + BACKWARD * passes[1]) / min(cell.batch_size, len(x))
    held_out = len(cell.split("validation")[1])
    yield from _of_validation(recipe, held_out, one_pass, draws)
    inner_steps = _inner_steps(cell, facts, (x[:2], y[:2]), teacher) if recipe.budget is not None else 0.0
    plan = plan_of(recipe, examples=len(x), inner_steps=inner_steps)
    yield from _of_curve(plan, recipe, [len(x), held_out], one_pass, draws)


class _OneBatch:
    """A loader of one batch that notes when its last epoch began and restarts the count of passes there."""

    def __init__(self, batch: tuple[Tensor, Tensor], passes: list[int]) -> None:
        self.batch, self.passes, self.started = batch, passes, 0.0

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes[:], self.started = [0, 0], perf_counter()
        yield self.batch


def _of_validation(recipe: Recipe, examples: int, one_pass: float, draws: int) -> Iterator[Workload]:
    """The accuracies measured after every epoch: clean, and under PGD if it selects the epoch.

    Args:
        recipe: options of the training.
        examples: size of the validation split.
        one_pass: seconds of a forward pass of one example, from the timed batch of the training.
        draws: draws whose mean is validated.
    """
    one_pass *= draws
    batches = recipe.epochs * -(-examples // CLEAN_AT_ONCE)
    yield Workload("validation", batches, draws, 0, 0, one_pass * min(examples, CLEAN_AT_ONCE))
    if recipe.budget is None or not recipe.selects:
        return
    attacked, steps = min(recipe.validation_examples, examples), recipe.validation_steps
    seconds = one_pass * (steps * (1 + BACKWARD) + 1) * min(attacked, ATTACKED_AT_ONCE)
    batches = recipe.epochs * -(-attacked // ATTACKED_AT_ONCE)
    what = f"validation under PGD, {steps} steps"
    yield Workload(what, batches, draws * (steps + 1), draws * steps, 0, seconds)


def _of_curve(
    plan: CurvePlan | None, recipe: Recipe, sizes: Sequence[int], one_pass: float, draws: int
) -> Iterator[Workload]:
    """The points of the curve, on splits of these sizes, of the mean of these draws."""
    if plan is None:
        return
    counts = [min(plan.examples, size) for size in sizes]
    points = sum(plan.is_due(epoch, recipe.epochs) for epoch in range(recipe.epochs))
    attack = f"under PGD, {recipe.validation_steps} steps"
    steps = recipe.validation_steps
    for what, at_once, forwards, backwards in (
        ("clean", CLEAN_AT_ONCE, 1, 0),
        (attack, ATTACKED_AT_ONCE, steps + 1, steps),
    ):
        batches = points * sum(-(-count // at_once) for count in counts)
        seconds = one_pass * draws * (forwards + BACKWARD * backwards) * min(max(counts), at_once)
        name = f"curve of {points} points, {what}"
        yield Workload(name, batches, draws * forwards, draws * backwards, 0, seconds)


def _inner_steps(cell: Cell, facts: About, batch: tuple[Tensor, Tensor], teacher: nn.Module | None) -> float:
    """Gradient steps of the inner attack on an example in an epoch, from a batch of a few."""
    network, recipe = untrained(cell, facts)
    clock = Clock(examples=len(batch[0]))
    stream = Stream("train", recipe.seed)
    wire(recipe, network, stream, clock=clock, teacher=teacher, modality=facts.modality, task=task_of(facts.task))(
        network, *batch
    )
    return clock.inner_steps / len(batch[0])


@contextmanager
def _passes(network: nn.Module) -> Iterator[list[int]]:
    """Count the forward and backward passes of a network inside the context."""
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
