"""The epochs of a training run: steps, weight averages, validation, and checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler

from variate.errors import UsageError
from variate.inputs.modality import Modality
from variate.progress import Report
from variate.random.keys import Stream, hash_words
from variate.records.curve import CurveSplit
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task
from variate.training.augmentation import augmented
from variate.training.batch import pair_of, size_of
from variate.training.batch_loss import BatchLoss
from variate.training.clock import Clock
from variate.training.deployed import DeployedMean
from variate.training.history import History
from variate.training.keys import apart, drawing
from variate.training.learning_curve import CurvePlan, curve_points, plan_of
from variate.training.loader import sample_of
from variate.training.modes import set_train_mode
from variate.training.processes import Loader, agree, total
from variate.training.recipe import Recipe
from variate.training.state import load_training, save_training
from variate.training.validation import accuracy, chosen, robust_accuracy
from variate.training.weight_averaging import WeightAverage, recompute_statistics


@dataclass
class Run:
    """A training run: its constant parts and its state; ``draws`` is the number of draws whose mean is trained."""

    recipe: Recipe
    fabric: Any
    network: nn.Module
    wrapped: Any
    optimizer: Any
    schedule: LRScheduler
    loader: Loader
    batches: Loader
    steps: int
    loss: BatchLoss
    clock: Clock
    stream: Stream
    average: WeightAverage | None
    history: History
    origin: Mapping[str, object]
    modality: Modality
    kept_in_eval: frozenset[str]
    draws: int = 1
    task: Task = CLASSES
    best: dict[str, Tensor] | None = None
    plan: CurvePlan | None = None
    curve_splits: dict[CurveSplit, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def as_deployed(self, network: nn.Module) -> nn.Module:
        """The network whose accuracy counts: ``network`` itself, or the mean of its draws."""
        return network if self.draws == 1 else DeployedMean(network, self.draws, plain=network)


def train_epoch(run: Run, epoch: int, report: Report) -> None:
    """Train for one pass over the data, and record the mean loss."""
    recipe, fabric = run.recipe, run.fabric
    set_train_mode(run.wrapped, run.kept_in_eval)
    run.clock.inner_steps = 0
    loss_sum, seen, index = 0.0, 0, 0
    with _seeded(recipe, epoch, fabric.global_rank), drawing(run.network, run.stream):
        for step, group in enumerate(_groups(_pass(run.batches, epoch), recipe.accumulate)):
            run.clock.step = epoch * run.steps + step
            examples = total(fabric, sum(map(size_of, group)))
            for batch in group:
                size = size_of(batch)
                value = run.loss(run.wrapped, _augmented_batch(run, fabric.to_device(batch), epoch, index))
                fabric.backward(value * (size * fabric.world_size / examples))  # processes' gradients are averaged
                loss_sum, seen, index = loss_sum + float(value.detach()) * size, seen + size, index + 1
            if recipe.clip is not None:
                fabric.clip_gradients(run.wrapped, run.optimizer, max_norm=recipe.clip, error_if_nonfinite=False)
            run.optimizer.step()
            run.optimizer.zero_grad()
            run.schedule.step()
            if recipe.ema is not None and run.average is not None:
                run.average.update(run.network)
            report(epoch + index / len(run.batches))
    run.wrapped.eval()
    agree(fabric, run.network)
    examples = total(fabric, seen)
    if not examples:
        raise UsageError(
            f"the loader has {len(run.batches)} batches, but yields none in epoch {epoch + 1}",
            todo="pass a loader that can be iterated once per epoch",
        )
    mean = total(fabric, loss_sum) / examples
    if not mean < float("inf"):
        raise UsageError(f"the loss is {mean} in epoch {epoch + 1}", todo="lower the learning rate")
    run.history.losses.append(mean)
    run.plan = plan_of(recipe, examples=run.clock.examples, inner_steps=run.clock.inner_steps / max(1, seen))


def settle(run: Run, epoch: int) -> nn.Module:
    """The network that training would return after this epoch: the average, once there is one."""
    if run.average is None:
        return run.network
    if run.recipe.swa and epoch >= run.recipe.epochs - run.recipe.swa:
        run.average.update(run.network)
        with _seeded(run.recipe, epoch):
            inputs = (
                _augmented_batch(run, run.fabric.to_device(batch), epoch, index, alone=True)
                for index, batch in enumerate(_pass(run.loader, epoch))
            )
            keys = apart("statistics", run.recipe.seed, epoch)
            recompute_statistics(run.average.network, inputs, keys, run.kept_in_eval)
    agree(run.fabric, run.average.network)
    return run.average.network if run.average.count else run.network


def validate(run: Run, network: nn.Module, x: Tensor, y: Tensor, epoch: int) -> None:
    """Note the accuracies of the first process, and the network, if it is the best so far."""
    recipe, history = run.recipe, run.history
    answering = run.as_deployed(network)
    clean = accuracy(answering, x, y, seed=recipe.seed, epoch=epoch, task=run.task)
    history.validation.append(run.fabric.broadcast(clean))
    if not recipe.selects or recipe.budget is None:
        return
    robust = robust_accuracy(
        answering,
        x,
        y,
        budget=recipe.budget,
        steps=recipe.validation_steps,
        examples=recipe.validation_examples,
        seed=recipe.seed,
        epoch=epoch,
        modality=run.modality,
        task=run.task,
    )
    history.robust.append(run.fabric.broadcast(robust))
    if recipe.keep == "best" and history.waited == 0:
        run.best = copy.deepcopy(network.state_dict())


def note_curve(run: Run, network: nn.Module, validation: tuple[Tensor, Tensor] | None, epoch: int) -> None:
    """Note the accuracies of the first process on the same examples of each split, if this epoch is to have a point."""
    if run.plan is None or not run.plan.is_due(epoch, run.recipe.epochs):
        return
    if not run.curve_splits:
        run.curve_splits = _picked(run.loader, validation, run.plan.examples)
    shown = run.as_deployed(network)
    points = curve_points(shown, run.curve_splits, recipe=run.recipe, epoch=epoch, modality=run.modality, task=run.task)
    run.history.curve += run.fabric.broadcast(points)


def _picked(
    loader: Loader, validation: tuple[Tensor, Tensor] | None, examples: int
) -> dict[CurveSplit, tuple[Tensor, Tensor]]:
    """Some examples of each split, always the same ones; a loader without single examples gives none."""
    splits: dict[CurveSplit, tuple[Tensor, Tensor]] = {}
    sample = sample_of(loader, examples)
    if sample is not None:
        splits["train"] = sample
    if validation is not None:
        x, y = validation
        rows = chosen(len(x), examples)
        splits["validation"] = x[rows], y[rows]
    return splits


def finish(run: Run) -> None:
    """Load the final parameters into the network and put it in eval mode."""
    run.network.eval()
    if run.best is not None:
        run.network.load_state_dict(run.best)
    elif run.average is not None and run.average.count:
        run.network.load_state_dict(run.average.network.state_dict())


def save(run: Run, path: Path) -> None:
    """Save the state after the last epoch."""
    networks = {"network": run.network.state_dict()}
    if run.average is not None:
        networks["average"] = run.average.network.state_dict()
    if run.best is not None:
        networks["best"] = run.best
    facts = {
        "recipe": {**run.recipe.numbers(), **run.origin},
        "stream": run.stream.index,
        "history": asdict(run.history),
        "schedule": run.schedule.state_dict(),
        "averaged": run.average.count if run.average is not None else 0,
        "loss_scale": run.fabric.strategy.precision.state_dict(),  # empty except for 16-mixed
    }
    save_training(path, networks, run.optimizer.optimizer, facts)


def resume(run: Run, checkpoint: str | Path | None) -> int:
    """Restore the state after the last complete epoch; return the number of epochs done."""
    if checkpoint is None or not Path(checkpoint).exists():
        return 0
    recipe = {**run.recipe.numbers(), **run.origin}
    facts, states = load_training(Path(checkpoint), run.network, run.optimizer.optimizer, recipe)
    run.history = History.restored(facts["history"])
    run.stream.index = facts["stream"]
    run.schedule.load_state_dict(facts["schedule"])
    run.fabric.strategy.precision.load_state_dict(facts["loss_scale"])
    for group, rate in zip(run.optimizer.optimizer.param_groups, run.schedule.get_last_lr(), strict=True):
        group["lr"] = rate
    if run.average is not None:
        run.average.restore(states["average"], facts["averaged"])
    run.best = states.get("best")
    return len(run.history.losses)


def _pass(loader: Loader, epoch: int) -> Iterator[Any]:
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)
    return iter(loader)


def _groups(batches: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Lists of ``size`` batches; the last may be shorter."""
    while group := list(islice(batches, size)):
        yield group


def _augmented_batch(run: Run, batch: Any, epoch: int, index: int, *, alone: bool = False) -> Any:
    """The batch with its inputs augmented as this process sees them, or ``alone``, as a single process would."""
    recipe = run.recipe
    if recipe.augment is None:
        return batch
    x, y = pair_of(batch)
    rank, world = (0, 1) if alone else (run.fabric.global_rank, run.fabric.world_size)
    return augmented(x, recipe.augment, seed=recipe.seed, epoch=epoch, batch=index, rank=rank, world=world), y


@contextmanager
def _seeded(recipe: Recipe, epoch: int, rank: int = 0) -> Iterator[None]:
    """Seed dropout and the like by seed, epoch and process only, so that a resumed run equals an uninterrupted one."""
    with torch.random.fork_rng():
        torch.manual_seed(hash_words("epoch", recipe.seed, epoch, *[rank] * (rank > 0)) % 2**32)
        yield
