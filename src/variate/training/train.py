"""Train a network on an objective: one plain loop that can be stopped at any moment and goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from variate.errors import UsageError
from variate.fields import overridden, takes_options
from variate.inputs.modality import Modality, check_kind, modality_of
from variate.inputs.validation import check_inputs
from variate.progress import progress
from variate.random.keys import Stream
from variate.training.clock import Clock
from variate.training.curves import curves
from variate.training.epoch import Run, finish, resume, save, settle, train_epoch, validate
from variate.training.history import History
from variate.training.optimization import optimizer_of, schedule_of
from variate.training.processes import Loader, examples_of, fabric_of, share
from variate.training.recipe import USUAL, Recipe
from variate.training.validate_recipe import check_recipe, check_selection
from variate.training.weight_averaging import WeightAverage
from variate.training.wiring import wire


@takes_options(Recipe)
def train(
    network: nn.Module,
    loader: Loader,
    *,
    recipe: Recipe = Recipe(),
    modality: str | Modality = "image",
    validation: tuple[Tensor, Tensor] | None = None,
    teacher: nn.Module | None = None,
    checkpoint: str | Path | None = None,
    origin: Mapping[str, object] | None = None,
    log_folder: str | Path = "tensorboard",
    name: str = "network",
    show_progress: bool = False,
    **overrides: Any,
) -> History:
    """Train ``network`` in place; it ends on the accelerator's device, in eval mode.

    To fine-tune, pass a trained network, or ``randomize`` one: its parameters become the means, and the scales begin
    relative to them. Several processes are data parallel, through lightning-fabric: batch norm has each one's own
    statistics, and a script or command is started once per device.

    Args:
        network: any module; a ``RandomNetwork`` draws afresh, from the training stream, at every forward.
        loader: batches (x, y); a DataLoader, or anything with a length that can be iterated once per epoch.
        recipe: all options of the training.
        modality: what the inputs are, as ``variate.evaluate`` has it.
        validation: inputs and labels whose accuracy is noted after every epoch.
        teacher: a network that a distillation learns from.
        checkpoint: a file that keeps the state after every epoch; if it exists, training goes on from it.
        origin: what else decides the numbers, of the network and of the data, as JSON can hold it; a checkpoint of
            another origin is refused.
        log_folder: where the curves go.
        name: shown with the progress.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Recipe`` by name, instead of those of ``recipe``: ``epochs=20, lr=1e-3``.

    Returns:
        The losses and validation accuracies by epoch; the robust ones only with ``patience`` or ``keep="best"``.

    Raises:
        UsageError: for a request that cannot be met, such as an adversarial objective without a budget.
        CheckpointError: if ``checkpoint`` belongs to another training run.
    """
    recipe = overridden(recipe, overrides, train)
    recipe = replace(recipe, objective=recipe.objective or USUAL)
    kept = modality_of(modality)
    check_recipe(recipe, kept)
    check_selection(recipe, validated=validation is not None)
    if not hasattr(loader, "__len__"):
        raise UsageError("the loader has no length", expected="a DataLoader, or a list of (x, y) batches")
    if validation is not None:
        check_inputs(*validation)
        check_kind(kept, validation[0])
    fabric = fabric_of(recipe.accelerator, devices=recipe.devices, precision=recipe.precision)
    stream = Stream("train", recipe.seed)
    clock = Clock(examples=examples_of(loader))
    loss = wire(recipe, network, stream, clock=clock, teacher=teacher, modality=kept)
    if recipe.devices > 1:
        fabric.launch()
    wrapped, stepper = fabric.setup(network, optimizer_of(network, recipe))
    if teacher is not None:
        teacher.to(fabric.device).eval()
    batches = share(fabric, loader)
    steps = -(-len(batches) // recipe.accumulate)
    clock.total = recipe.epochs * steps
    run = Run(
        recipe=recipe,
        fabric=fabric,
        network=network,
        wrapped=wrapped,
        optimizer=stepper,
        schedule=schedule_of(stepper.optimizer, recipe, steps),
        loader=loader,
        batches=batches,
        steps=steps,
        loss=loss,
        clock=clock,
        stream=stream,
        average=WeightAverage(network, ema=recipe.ema) if recipe.ema is not None or recipe.swa else None,
        history=History(),
        origin=origin or {},
        modality=kept,
    )
    first = resume(run, checkpoint)
    show = show_progress and fabric.is_global_zero
    with (
        progress(f"training {name}", recipe.epochs, "epochs", already=first, show=show) as report,
        curves(recipe.log if fabric.is_global_zero else None, Path(log_folder), done=first) as write,
    ):
        for epoch in range(first, recipe.epochs):
            if recipe.patience is not None and run.history.waited >= recipe.patience:
                break
            train_epoch(run, epoch, report)
            measured = settle(run, epoch)
            if validation is not None:
                validate(run, measured, *validation, epoch)
            if checkpoint is not None and fabric.is_global_zero:
                save(run, Path(checkpoint))
            write(run.history, measured)
            report(epoch + 1, f"loss {run.history.losses[-1]:.3f}")
    finish(run)
    return run.history
