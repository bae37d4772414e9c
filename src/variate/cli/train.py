"""``variate train``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.dry_run import print_plan
from variate.cli.from_fields import from_fields
from variate.cli.options import Config, DryRun, Json, Quiet, ShowConfig, begin, print_json
from variate.training.cell import Cell

if TYPE_CHECKING:
    from variate.records.curve import EpochAccuracy

BUDGETS = {"image": "linf:8/255", "text": "words:2", "audio": "snr:20dB"}  # for data without a usual budget


@from_fields
def train(
    cell: Cell,
    out: Annotated[Path, typer.Option(help="Folder for the network; an interrupted training resumes from it.")],
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
    begin(
        f"{'planning' if dry_run else 'training'} {cell.defense} {cell.network} on {cell.data}, "
        f"{cell.recipe.epochs} epochs, into {out}",
        quiet=quiet,
        json=json,
    )
    from variate.files.reading import check_folder
    from variate.training.history import History
    from variate.training.processes import is_first_process
    from variate.training.run_folder import train_cell, validation_accuracy

    check_folder(out)
    if dry_run:
        from variate.study.dry_training import of_training

        plan = {
            "data": cell.data,
            "network": cell.network,
            "defense": cell.defense,
            "batch size": cell.batch_size,
            "output": str(out),
        }
        print_plan(plan, of_training(cell), devices=cell.recipe.devices, as_json=json)
        return
    card = train_cell(cell, out, show_progress=not quiet)
    if not is_first_process():
        return
    if json:
        print_json({"out": str(out), **card.model_dump()})
        return
    accuracy = validation_accuracy(card) or 0.0
    typer.echo(
        f"{cell.defense} {cell.network} on {cell.data}: validation accuracy {100 * accuracy:.1f} %, "
        f"one draw per query; in {out}"
    )
    history = History.restored(card.history)
    if history.robust:
        rate = 100 * history.robust[history.best]
        best = f"best epoch {history.best + 1} of {len(history.robust)}"
        typer.echo(f"{best}: {rate:.1f} % right under the inner attack, which only ranks epochs")
    _print_curve(card.curve)
    typer.echo(f"next: {shlex.join(_next(cell, out))}")


def _print_curve(curve: Sequence[EpochAccuracy]) -> None:
    """Print what the end of the curve says of the training; nothing without a curve."""
    from variate.records.curve import CurveSplit, points_of, rise_of
    from variate.statistics.notation import points

    names: dict[CurveSplit, str] = {"train": "training", "validation": "validation"}
    for split, name in names.items():
        if shown := points_of(curve, split):
            last, rise = shown[-1], rise_of(curve, split)
            slope = f"; {points(rise.value)} ± {100 * rise.error:.1f} points in the last quarter" if rise else ""
            typer.echo(
                f"robust {name} accuracy after epoch {last.epoch}: {100 * last.robust_accuracy:.1f} % of "
                f"{last.examples} examples{slope}"
            )


def _next(cell: Cell, out: Path) -> list[str]:
    """The command that evaluates the trained network."""
    from variate.options import names_code

    facts = cell.about()
    words = ["variate", "evaluate", str(out), "--suite", "standard"]
    if cell.data_folder is not None:
        words += ["--data-folder", str(cell.data_folder)]
    if not facts.budget:
        words += ["--budget", str(cell.recipe.budget or BUDGETS.get(facts.kind, "linf:0.1"))]
    if names_code(cell.data) or names_code(cell.network):
        words.append("--trust-code")
    return words
