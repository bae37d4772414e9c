"""``variate attack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from variate.cli import evaluation_command as judging
from variate.cli import options
from variate.cli.dry_run import judge_or_plan
from variate.cli.options import Accelerator, DataFolder, Json, Quiet, Seed, TrustCode
from variate.errors import UsageError


def attack(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    attack: options.Attack,
    budget: options.Budget = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, for attacks that have them.")] = None,
    draws: options.DrawsWord = "20",
    verdict_draws: options.VerdictDraws = 160,
    deployment: options.Deployments = None,
    examples: options.Examples = 1000,
    batch_size: options.BatchSize = 256,
    memory: options.Memory = None,
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
    """Attack a trained network, judge it on fresh draws, and add the answers to RUN/records.jsonl.

    Examples:
      variate attack runs/a --attack pgd --budget linf:0.1 --steps 40 --draws 20
      variate attack runs/a --attack "square(queries=1000)" --attack "pgd(steps=100)" --dry-run
    """
    plans = [_plan(name, steps) for name in attack or []]
    setting = judging.of_run(
        run,
        examples=examples,
        budget=budget,
        data_folder=data_folder,
        accelerator=accelerator,
        trust_code=trust_code,
    )
    asked = judging.Asked(
        attacks=plans,
        draws=draws,
        verdict_draws=verdict_draws,
        deployments=deployment,
        batch_size=batch_size,
        seed=seed,
        quiet=quiet,
        memory=memory,
    )
    judge_or_plan(setting, asked, dry_run=dry_run, json=json)


def _plan(text: str, steps: int | None) -> dict[str, Any]:
    """A plan from NAME or NAME(option=value), with --steps where it was given. Raises ``UsageError``."""
    from variate import options as spec
    from variate.evaluation.plan import attack_options

    name, given = spec.parse(text, "an attack")
    if steps is None:
        return {"name": name, **given}
    if "steps" not in attack_options(name):
        raise UsageError(f"{name} has no steps", todo=f"leave --steps out, or run {name} in a command of its own")
    return {"name": name, **given, "steps": steps}
