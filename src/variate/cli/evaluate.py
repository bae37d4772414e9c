"""``variate evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli import evaluation_command as judging
from variate.cli import options
from variate.cli.dry_run import judge_or_plan
from variate.cli.options import Accelerator, DataFolder, Json, Quiet, Seed, TrustCode


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    suite: options.SuiteOption = "standard",
    attack: options.Attack = None,
    budget: options.Budget = None,
    target: options.Target = None,
    source: Annotated[
        list[Path] | None, typer.Option(help="Folder of another trained network to transfer from. Repeatable.")
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
    trust_code: TrustCode = False,
    seed: Seed = 0,
    dry_run: options.DryRun = False,
    config: options.Config = None,
    show_config: options.ShowConfig = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Evaluate a trained network: a suite of attacks, a verdict on fresh draws, and red flags that doubt it.

    Every answer is added to RUN/records.jsonl; what is there already is not computed again.

    Examples:
      variate evaluate runs/a --suite standard --budget linf:0.1 --examples 500
      variate evaluate runs/a --suite quick --source runs/b --devices 2 --json
    """
    if not dry_run and judging.spread(devices):
        return
    setting = judging.of_run(
        run,
        examples=examples,
        budget=budget,
        data_folder=data_folder,
        accelerator=accelerator,
        trust_code=trust_code,
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
