"""Train a network on an objective: one plain loop that can be stopped at any moment and goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from variate.errors import UsageError
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
from variate.training.recipe import Recipe, wire
from variate.training.validate_recipe import check_log, check_recipe, check_selection
from variate.training.weight_averaging import WeightAverage


def train(
    network: nn.Module,
    loader: Loader,
    *,
    objective: str = "cross-entropy",
    epochs: int = 10,
    lr: float = 2e-3,
    scale_lr: float = 5.0,
    weight_decay: float = 1e-4,
    optimizer: str = "adamw",
    warmup: float = 0.0,
    accumulate: int = 1,
    ema: float | None = None,
    swa: int = 0,
    augment: str | None = None,
    budget: str | None = None,
    attack_steps: int = 10,
    modality: str | Modality = "image",
    seed: int = 0,
    validation: tuple[Tensor, Tensor] | None = None,
    patience: int | None = None,
    keep: str = "last",
    validation_steps: int = 10,
    validation_examples: int = 512,
    teacher: nn.Module | None = None,
    devices: int = 1,
    accelerator: str = "auto",
    precision: str = "32-true",
    checkpoint: str | Path | None = None,
    origin: Mapping[str, object] | None = None,
    log: str | None = None,
    log_folder: str | Path = "tensorboard",
    name: str = "network",
    show_progress: bool = False,
) -> History:
    """Train ``network`` in place; it ends on the accelerator's device, in eval mode.

    To fine-tune, pass a trained network, or ``randomize`` one: its parameters become the means, and the scales begin
    relative to them.

    Args:
        network: any module; a ``RandomNetwork`` draws afresh, from the training stream, at every forward.
        loader: batches (x, y); a DataLoader, or anything with a length that can be iterated once per epoch.
        objective: names joined by ``+``, each with optional options and weight: ``adversarial+snr(target=10):0.5``.
        epochs: passes over the data.
        lr: highest learning rate; it decays to zero along a cosine over all steps.
        scale_lr: how many times faster the learned tensors beside the means (the scales) learn.
        weight_decay: of the means; scales are never decayed.
        optimizer: ``adamw``, or ``sgd`` with Nesterov's momentum of 0.9.
        warmup: epochs, whole or not, in which the learning rate rises linearly before the cosine begins.
        accumulate: batches per step of the optimizer; their gradient is that of one batch of all their examples, but
            every batch has a draw of its own.
        ema: decay per step of an exponential moving average of all learned parameters and batch-norm statistics, with
            which the training ends and which validation measures.
        swa: epochs from the end whose parameters are averaged equally, with the same effect; batch-norm statistics
            are then recomputed on the training data (Izmailov et al. 2018, arXiv:1803.05407).
        augment: ``flip``, ``crop`` and ``cutout``, joined by ``+``: see ``variate.training.augmentation``.
        budget: of the inner attack, if the objective has one, and of the validation's.
        attack_steps: steps of the inner attack; within words and characters, replacements that it tries in each round.
        modality: what the inputs are, as ``variate.evaluate`` has it.
        seed: of the key stream, of dropout and the like.
        validation: inputs and labels whose accuracy is noted after every epoch.
        patience: stop after so many epochs without a better robust accuracy on the validation split, against robust
            overfitting (Rice et al. 2020, arXiv:2002.11569).
        keep: ``last``, or ``best``: end with the epoch of the best robust accuracy on the validation split.
        validation_steps: of the PGD that measures it.
        validation_examples: how many examples it is measured on, always the same ones.
        teacher: a network that a distillation learns from.
        devices: number of processes (data parallel, through lightning-fabric); more than one needs a script or the
            command line, which is started once per device. Batch norm has each process's own statistics in training.
        accelerator: ``auto``, ``cpu``, ``cuda`` and so on.
        precision: of lightning-fabric: ``32-true``, ``bf16-mixed``, ``16-mixed`` or ``64-true``.
        checkpoint: a file that keeps the state after every epoch; if it exists, training goes on from it.
        origin: what else decides the numbers, of the network and of the data, as JSON can hold it; a checkpoint of
            another origin is refused.
        log: ``tensorboard`` writes losses, accuracies and scales by epoch.
        log_folder: where to.
        name: shown with the progress.
        show_progress: show a progress bar on standard error.

    Returns:
        The losses and validation accuracies by epoch; the robust ones only with ``patience`` or ``keep="best"``.

    Raises:
        UsageError: for a request that cannot be met, such as an adversarial objective without a budget.
        CheckpointError: if ``checkpoint`` belongs to another training run.
    """
    recipe = Recipe(
        objective=objective,
        epochs=epochs,
        lr=lr,
        scale_lr=scale_lr,
        weight_decay=weight_decay,
        budget=budget,
        attack_steps=attack_steps,
        seed=seed,
        precision=precision,
        optimizer=optimizer,
        warmup=warmup,
        accumulate=accumulate,
        ema=ema,
        swa=swa,
        patience=patience,
        keep=keep,
        validation_steps=validation_steps,
        validation_examples=validation_examples,
        augment=augment,
    )
    kept = modality_of(modality)
    check_recipe(recipe, kept)
    check_selection(recipe, validated=validation is not None)
    check_log(log)
    if not hasattr(loader, "__len__"):
        raise UsageError("the loader has no length", expected="a DataLoader, or a list of (x, y) batches")
    if validation is not None:
        check_inputs(*validation)
        check_kind(kept, validation[0])
    fabric = fabric_of(accelerator, devices=devices, precision=precision)
    stream = Stream("train", seed)
    clock = Clock(examples=examples_of(loader))
    loss = wire(recipe, network, stream, clock=clock, teacher=teacher, modality=kept)
    if devices > 1:
        fabric.launch()
    wrapped, stepper = fabric.setup(network, optimizer_of(network, recipe))
    if teacher is not None:
        teacher.to(fabric.device).eval()
    batches = share(fabric, loader)
    steps = -(-len(batches) // accumulate)
    clock.total = epochs * steps
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
        average=WeightAverage(network, ema=ema) if ema is not None or swa else None,
        history=History(),
        origin=origin or {},
        modality=kept,
    )
    first = resume(run, checkpoint)
    show = show_progress and fabric.is_global_zero
    with (
        progress(f"training {name}", epochs, "epochs", already=first, show=show) as report,
        curves(log if fabric.is_global_zero else None, Path(log_folder), done=first) as write,
    ):
        for epoch in range(first, epochs):
            if patience is not None and run.history.waited >= patience:
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
