"""``variate audit``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from variate.cli import evaluation_command as judging
from variate.cli.dry_run import judge_or_plan
from variate.cli.evaluation_command import Extras, SharedOptions
from variate.cli.from_fields import from_fields, typed
from variate.evaluation.evaluation import Evaluation
from variate.training.cell import Cell


class Mode(StrEnum):
    """The mode in which a network is judged."""

    as_is = "as-is"
    eval = "eval"
    train = "train"


@from_fields
def audit(
    module: Annotated[
        str,
        typer.Argument(
            help="module:callable that returns a torch.nn.Module with its weights loaded, or a transformers pipeline."
        ),
    ],
    data: Annotated[str, typed(Cell, "data")],
    out: Annotated[Path, typer.Option(help="Folder for the records; an interrupted audit resumes from it.")],
    *,
    mode: Annotated[
        Mode, typer.Option(help="eval or train; as-is keeps the mode in which your callable returns the network.")
    ] = Mode.as_is,
    evaluation: Evaluation = judging.STANDARD,
    source: Annotated[
        list[str] | None, typer.Option(help="module:callable of a network to transfer from. Repeatable.")
    ] = None,
    extras: Extras,
    shared: SharedOptions,
) -> None:
    """Evaluate your own network, random or not: dropout left on, noise layers, or layers of another library.

    A network that draws from torch's global generator is judged over its draws too: the keys seed that generator. By
    default it is judged in the mode in which your callable returns it, so that active noise stays on; a new torch
    module is in train mode. Inputs lie in [0, 1]: normalization belongs inside the network.

    Examples:
      variate audit mine:network --data digits --budget linf:0.1 --out runs/mine
      variate audit mine:network --data mine.npz --budget l2:0.5 --mode eval --out runs/mine --dry-run
    """
    judging.begin(f"{module} on {data}: {judging.named(evaluation)}", shared)
    from variate.files.reading import check_folder

    judging.check_something_is_run(evaluation)
    check_folder(out)
    if not shared.dry_run and judging.spread(extras.devices):
        return
    setting = judging.of_module(
        module, data, out, shared, mode=mode.value, budget=evaluation.budget, sources=source or []
    )
    judge_or_plan(setting, evaluation, shared, extras)
