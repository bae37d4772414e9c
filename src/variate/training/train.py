"""Train a network on an objective: one plain loop that can be interrupted at any time and resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from variate.fields import overridden, takes_options
from variate.inputs.modality import Modality, check_kind, modality_of
from variate.inputs.validation import check_inputs, check_module
from variate.progress import progress
from variate.random.keys import Stream
from variate.random.priors import from_lines, set_priors
from variate.tasks.classes import CLASSES
from variate.tasks.task import Task, task_of
from variate.training.batch_loss import Loss, batch_loss, name_of_code
from variate.training.clock import Clock
from variate.training.curves import curves
from variate.training.deployed import trained_draws
from variate.training.epoch import Run, finish, note_curve, resume, save, settle, train_epoch, validate
from variate.training.extra_state import check_extra_state
from variate.training.history import History
from variate.training.loader import check_loader, examples_of
from variate.training.modes import kept_in_eval
from variate.training.optimization import optimizer_of, schedule_of
from variate.training.processes import Loader, fabric_of, share
from variate.training.recipe import Recipe
from variate.training.validate_recipe import check_recipe, check_selection
from variate.training.weight_averaging import WeightAverage
from variate.training.wiring import wire


@takes_options(Recipe)
def train(
    network: nn.Module,
    loader: Loader,
    *,
    loss: Loss | None = None,
    recipe: Recipe = Recipe(),
    modality: str | Modality = "image",
    task: str | Task = CLASSES,
    validation: tuple[Tensor, Tensor] | None = None,
    teacher: nn.Module | None = None,
    checkpoint: str | Path | None = None,
    origin: Mapping[str, object] | None = None,
    log_folder: str | Path | None = None,
    name: str = "network",
    show_progress: bool = False,
    **overrides: Any,
) -> History:
    """Train ``network`` in place; it ends on the accelerator's device, in eval mode.

    To fine-tune, pass a trained network, or ``randomize`` one: its parameters become the means, and the scales start
    relative to them. Modules in eval mode inside a network in train mode stay so, such as frozen batch norm. Several
    processes train data-parallel through lightning-fabric: each has its own batch-norm statistics, and the script or
    command is started once per device.

    Args:
        network: any module; a ``RandomNetwork`` uses a fresh draw from the training stream at every forward pass.
        loader: batches (x, y): a DataLoader, or any iterable with a length, iterated once per epoch.
        loss: a loss of your own, ``loss(outputs, batch)`` to a scalar, the mean over the batch. It replaces
            cross-entropy, or is added to the recipe's objective if there is one, as in ``objective="kl"``. With it
            alone, batches may have any form: the network is called on the first part of a tuple, or with the entries of
            a dictionary as keyword arguments.
        recipe: all options of the training.
        modality: modality of the inputs, as in ``variate.evaluate``.
        task: what the answers are, as in ``variate.evaluate``; "cross-entropy" stands for its loss.
        validation: inputs and labels to measure the accuracy, or mean score, on after every epoch.
        teacher: network that a distillation objective learns from.
        checkpoint: file for the state after every epoch; if it exists, training resumes from it.
        origin: JSON data on the network and the data set that also determines the result; a checkpoint of another
            origin is refused.
        log_folder: folder for what is logged; by default the name of the logger.
        name: name shown with the progress, and of the run in what is logged.
        show_progress: show a progress bar on standard error.
        overrides: fields of ``Recipe`` by name, which replace those of ``recipe``: ``epochs=20, lr=1e-3``.

    Returns:
        Losses and validation accuracies by epoch, and the curve of adversarial training; robust accuracies of all
        epochs only with ``patience`` or ``keep="best"``.

    Raises:
        UsageError: for impossible options, such as an adversarial objective without a budget.
        CheckpointError: if ``checkpoint`` belongs to another training run.
    """
    recipe = overridden(recipe, overrides, train)
    check_module(network)
    objective = recipe.objective_or_default if loss is None else recipe.objective
    recipe = replace(recipe, objective=objective)
    input_kind, answering = modality_of(modality), task_of(task)
    check_recipe(recipe, input_kind)
    check_selection(recipe, validated=validation is not None)
    check_loader(loader)
    if validation is not None:
        check_inputs(*validation, answering.label_findings)
        check_kind(input_kind, validation[0])
    if recipe.priors:
        set_priors(network, from_lines(recipe.priors))
    fabric = fabric_of(recipe.accelerator, devices=recipe.devices, precision=recipe.precision)
    stream = Stream("train", recipe.seed)
    clock = Clock(examples=examples_of(loader))
    wired, draws = None, 1
    if recipe.objective is not None:
        draws = trained_draws(recipe, network)
        wired = wire(recipe, network, stream, clock=clock, teacher=teacher, modality=input_kind, task=answering)
    if recipe.devices > 1:
        fabric.launch()
    wrapped, optimizer = fabric.setup(network, optimizer_of(network, recipe))
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
        optimizer=optimizer,
        schedule=schedule_of(optimizer.optimizer, recipe, steps),
        loader=loader,
        batches=batches,
        steps=steps,
        loss=batch_loss(wired, loss, network, answering),
        clock=clock,
        stream=stream,
        average=WeightAverage(network, ema=recipe.ema) if recipe.ema is not None or recipe.swa else None,
        history=History(),
        origin={**(origin or {}), **({"loss": name_of_code(loss)} if loss is not None else {})},
        modality=input_kind,
        kept_in_eval=kept_in_eval(network),
        draws=draws,
        task=answering,
    )
    if checkpoint is not None:
        check_extra_state(network)
    first = resume(run, checkpoint)
    show = show_progress and fabric.is_global_zero
    folder = Path(str(recipe.log) if log_folder is None else log_folder)
    with (
        progress(f"training {name}", recipe.epochs, "epochs", already=first, show=show) as report,
        curves(recipe.log if fabric.is_global_zero else None, folder, done=first, name=name) as write,
    ):
        for epoch in range(first, recipe.epochs):
            if recipe.patience is not None and run.history.waited >= recipe.patience:
                break
            train_epoch(run, epoch, report)
            final = settle(run, epoch)
            if validation is not None:
                validate(run, final, *validation, epoch)
            note_curve(run, final, validation, epoch)
            if checkpoint is not None and fabric.is_global_zero:
                save(run, Path(checkpoint))
            write(run.history, final)
            report(epoch + 1, f"loss {run.history.losses[-1]:.3f}")
    finish(run)
    return run.history
