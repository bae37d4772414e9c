"""``variate train``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from variate.cli.dry_run import print_plan
from variate.cli.options import (
    Accelerator,
    Config,
    DataFolder,
    DryRun,
    Json,
    Quiet,
    Seed,
    ShowConfig,
    budgets,
    names,
    print_json,
)


def train(
    data: Annotated[
        str,
        typer.Option(
            help="A data set (see `variate list datasets`), a file.npz with x and y, or module:callable for both.",
            autocompletion=names("datasets"),
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the network; a stopped training goes on from it.")],
    network: Annotated[
        str, typer.Option(help="An architecture, or your own module:callable.", autocompletion=names("networks"))
    ] = "lenet",
    defense: Annotated[
        str, typer.Option(help="A defense: see `variate list defenses`.", autocompletion=names("defenses"))
    ] = "random-at",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training split.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples per step.")] = 128,
    lr: Annotated[float, typer.Option(help="Highest learning rate, decayed along a cosine.")] = 2e-3,
    optimizer: Annotated[
        str,
        typer.Option(help="adamw, or sgd with Nesterov's momentum of 0.9.", autocompletion=names("", "adamw", "sgd")),
    ] = "adamw",
    warmup: Annotated[float, typer.Option(min=0, help="Epochs in which the learning rate rises to --lr.")] = 0.0,
    accumulate: Annotated[int, typer.Option(min=1, help="Batches per step of the optimizer.")] = 1,
    ema: Annotated[
        float | None, typer.Option(help="Decay per step of a moving average of the parameters, such as 0.999.")
    ] = None,
    swa: Annotated[int, typer.Option(min=0, help="Epochs from the end whose parameters are averaged.")] = 0,
    augment: Annotated[
        str | None,
        typer.Option(help="flip, crop and cutout, joined by +.", autocompletion=names("", "flip", "crop", "cutout")),
    ] = None,
    train_examples: Annotated[
        int | None, typer.Option(min=1, help="Train on the first so many of the training split.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="Folder of a deterministic network to begin from: its parameters, or means.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Instead of the defense's own, e.g. adversarial+snr(target=10):0.5.",
            autocompletion=names("objectives"),
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Of the inner attack; the data set's usual one without it.", autocompletion=budgets),
    ] = None,
    attack_steps: Annotated[int, typer.Option(min=1, help="Steps of the inner attack.")] = 7,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many epochs without a better robust validation accuracy.")
    ] = None,
    keep: Annotated[
        str,
        typer.Option(
            help="last; or best, the epoch of the best robust validation accuracy.",
            autocompletion=names("", "last", "best"),
        ),
    ] = "last",
    validation_steps: Annotated[int, typer.Option(min=1, help="Steps of the PGD that measures it.")] = 10,
    validation_examples: Annotated[int, typer.Option(min=1, help="Examples that it is measured on.")] = 512,
    data_folder: DataFolder = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes, one per device.")] = 1,
    accelerator: Accelerator = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="32-true, bf16-mixed, 16-mixed or 64-true.",
            autocompletion=names("", "32-true", "bf16-mixed", "16-mixed", "64-true"),
        ),
    ] = "32-true",
    seed: Seed = 0,
    log: Annotated[
        str | None,
        typer.Option(help="tensorboard: curves by epoch, in OUT/tensorboard.", autocompletion=names("", "tensorboard")),
    ] = None,
    dry_run: DryRun = False,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network with a defense.

    Examples:
      variate train --data digits --network mlp --defense random --epochs 5 --out runs/a
      variate train --data fashion-mnist --defense "random-at(share=channel)" --augment flip --out runs/b --dry-run
      variate train --data mine:data --network mine:network --defense at --budget linf:0.1 --out runs/c
    """
    from variate.training.history import History
    from variate.training.processes import is_first_process
    from variate.training.run_folder import Cell, train_cell, validation_accuracy

    cell = Cell(
        data=data,
        network=network,
        defense=defense,
        seed=seed,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        budget=budget,
        attack_steps=attack_steps,
        objective=objective,
        precision=precision,
        optimizer=optimizer,
        train_examples=train_examples,
        warmup=warmup,
        accumulate=accumulate,
        ema=ema,
        swa=swa,
        patience=patience,
        keep=keep,
        validation_steps=validation_steps,
        validation_examples=validation_examples,
        augment=augment,
        start=start,
        log=log,
        data_folder=data_folder,
        devices=devices,
        accelerator=accelerator,
    )
    if dry_run:
        from variate.study.dry_training import of_training

        plan = {
            "data": data,
            "network": network,
            "defense": defense,
            "batch size": batch_size,
            "network goes to": str(out),
        }
        print_plan(plan, of_training(cell), devices=devices, as_json=json)
        return
    card = train_cell(cell, out, show_progress=not quiet)
    if not is_first_process():
        return
    if json:
        print_json({"out": str(out), **card.model_dump()})
        return
    accuracy = validation_accuracy(card) or 0.0
    typer.echo(
        f"{defense} {network} on {data}: validation accuracy {100 * accuracy:.1f} %, one draw per query; in {out}"
    )
    history = History(**card.history)
    if history.robust:
        rate = 100 * history.robust[history.best]
        best = f"best epoch {history.best + 1} of {len(history.robust)}"
        typer.echo(f"{best}: {rate:.1f} % right under the inner attack, to rank epochs only")
    where = [] if data_folder is None else ["--data-folder", str(data_folder)]
    typer.echo(f"next: {shlex.join(['variate', 'evaluate', str(out), '--suite', 'standard', *where])}")
