"""``variate train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Accelerator, DataFolder, Json, Quiet, Seed, print_json


def train(
    data: Annotated[str, typer.Option(help="A data set: see `variate list datasets`.")],
    out: Annotated[Path, typer.Option(help="Folder for the network; a stopped training goes on from it.")],
    network: Annotated[str, typer.Option(help="An architecture, or your own module:callable.")] = "lenet",
    defense: Annotated[str, typer.Option(help="A defense: see `variate list defenses`.")] = "random-at",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training split.")] = 10,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples per step.")] = 128,
    lr: Annotated[float, typer.Option(help="Learning rate of AdamW, decayed along a cosine.")] = 2e-3,
    objective: Annotated[
        str | None, typer.Option(help="Instead of the defense's own, e.g. adversarial+snr(target=10):0.5.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="Of the inner attack; the data set's usual one without it.")
    ] = None,
    attack_steps: Annotated[int, typer.Option(min=1, help="Steps of the inner attack.")] = 7,
    data_folder: DataFolder = None,
    devices: Annotated[int, typer.Option(min=1, help="Processes, one per device.")] = 1,
    accelerator: Accelerator = "auto",
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed, 16-mixed or 64-true.")] = "32-true",
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network with a defense.

    Example: variate train --data fashion-mnist --network lenet --defense random-at --epochs 10 --out runs/a
    """
    from variate.cell import Cell, train_cell
    from variate.processes import is_first_process

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
        data_folder=data_folder,
        devices=devices,
        accelerator=accelerator,
    )
    card = train_cell(cell, out, show_progress=not quiet)
    if not is_first_process():
        return
    if json:
        print_json({"out": str(out), **card.model_dump()})
        return
    accuracy = card.history["validation"][-1]
    typer.echo(
        f"{defense} {network} on {data}: validation accuracy {100 * accuracy:.1f} %, one draw per query; in {out}"
    )
    typer.echo(f"next: variate attack {out} --attack pgd --steps 40 --draws 20")
