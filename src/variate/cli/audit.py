"""``variate audit``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from variate.cli import evaluation_command as judging
from variate.cli import options
from variate.cli.dry_run import judge_or_plan
from variate.cli.from_fields import names
from variate.cli.options import Accelerator, DataFolder, Json, Quiet, Seed


class Mode(StrEnum):
    """The mode in which a network is judged."""

    as_is = "as-is"
    eval = "eval"
    train = "train"


def audit(
    module: Annotated[str, typer.Argument(help="module:callable that returns a torch.nn.Module, weights loaded.")],
    data: Annotated[
        str,
        typer.Option(
            help="A data set, a file.npz with x and y, or module:callable for both.",
            autocompletion=names("datasets"),
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the records; a stopped audit goes on from it.")],
    mode: Annotated[
        Mode, typer.Option(help="eval or train; as-is is the mode in which your callable returns the network.")
    ] = Mode.as_is,
    suite: options.SuiteOption = "standard",
    attack: options.Attack = None,
    budget: options.Budget = None,
    target: options.Target = None,
    source: Annotated[
        list[str] | None, typer.Option(help="module:callable of a network to transfer from. Repeatable.")
    ] = None,
    draws: options.DrawsWord = "auto",
    verdict_draws: options.VerdictDraws = 160,
    deployment: options.Deployments = None,
    examples: options.Examples = 1000,
    batch_size: options.BatchSize = 128,
    memory: options.Memory = None,
    time_limit: options.TimeLimit = None,
    devices: options.Devices = 1,
    layers: Annotated[bool, typer.Option("--layers", help="Tell whose noise buys the robustness, too.")] = False,
    doubts: options.Doubts = True,
    data_folder: DataFolder = None,
    accelerator: Accelerator = "auto",
    seed: Seed = 0,
    dry_run: options.DryRun = False,
    config: options.Config = None,
    show_config: options.ShowConfig = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a network of your own, random or not: dropout left on, noise layers, layers of another library.

    A network that draws from torch's global generator is judged over its draws too: the keys seed that generator. It is
    judged in the mode in which your callable returns it, so that noise which is on stays on; a new torch module is in
    train mode. Inputs lie in [0, 1]: normalization belongs inside the network.

    Examples:
      variate audit mine:network --data digits --budget linf:0.1 --out runs/mine
      variate audit mine:network --data mine.npz --budget l2:0.5 --mode eval --out runs/mine --dry-run
    """
    if not dry_run and judging.spread(devices):
        return
    setting = judging.of_module(
        module,
        data,
        out,
        mode=mode.value,
        examples=examples,
        budget=budget,
        data_folder=data_folder,
        accelerator=accelerator,
        sources=source or [],
    )
    asked = judging.Asked(
        attacks=attack or [],
        draws=draws,
        verdict_draws=verdict_draws,
        deployments=deployment,
        batch_size=batch_size,
        seed=seed,
        quiet=quiet,
        memory=memory,
        suite=options.chosen_suite(suite, attack),
        target=target,
        time_limit=time_limit,
        layers=layers,
        doubts=doubts,
    )
    judge_or_plan(setting, asked, dry_run=dry_run, json=json, devices=devices)
