"""``--dry-run``: show what a command would do, and about how long it would take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import typer

from variate.cli import evaluation_command as judging
from variate.cli.options import print_json
from variate.cli.shown_result import show
from variate.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from variate.study.dry_training import Workload


def judge_or_plan(
    setting: judging.Setting,
    evaluation: Evaluation,
    shared: judging.SharedOptions,
    extras: judging.Extras = judging.ATTACKS_ALONE,
) -> None:
    """Judge a network and show the result; with ``--dry-run``, only print the plan."""
    if not shared.dry_run:
        records, result = judging.judged(setting, evaluation, shared, extras)
        show(setting, records, result, json=shared.json, require=shared.require)
        return
    from variate.study.dry_evaluation import of_evaluation

    plan = {
        "network": setting.title,
        "examples": len(setting.x),
        "budget": str(setting.budget),
        "draws": str(evaluation.draws),
        "verdict draws": evaluation.verdict_draws,
        "records": str(setting.folder),
    }
    parts = of_evaluation(
        setting.network,
        setting.x,
        setting.y,
        replace(evaluation, budget=setting.budget),
        doubts=extras.doubts,
        layers=extras.layers,
        modality=setting.modality,
        task=setting.task,
        sources=list(setting.sources),
    )
    print_plan(plan, parts, devices=extras.devices, as_json=shared.json)


def print_plan(plan: Mapping[str, Any], parts: Iterable[Workload], *, devices: int = 1, as_json: bool) -> None:
    """Print the plan, its parts as they are measured, and their total; or everything as JSON."""
    if as_json:
        print_json({"plan": plan, **as_row(list(parts))})
        return
    for name, value in plan.items():
        typer.echo(f"{name}: {value}")
    measured = []
    for part in parts:
        measured.append(part)
        passes = f"{part.forwards:,} forward and {part.backwards:,} backward passes"
        judging = f", {part.judging:,} forward for the verdict" if part.judging else ""
        typer.echo(f"{duration(part.seconds):>7}  {part.what}; {part.batches:,} batches, each {passes}{judging}")
        for attack, (forwards, backwards, seconds) in part.by_attack.items():
            share = f"{duration(part.batches * seconds):>9}, {100 * seconds / part.batch_seconds:.0f} %"
            typer.echo(f"{share}: {attack}, {forwards:,} forward and {backwards:,} backward passes")
    typer.echo(f"at most {total(measured)} on this machine, from timing one batch of each kind")
    if devices > 1:
        typer.echo(f"in one process; {devices} processes share the work")
    if any("transfer" in part.what for part in measured):
        typer.echo("not counted: passes of the networks that attacks transfer from")
    if plan.get("draws") == "auto":
        typer.echo("auto is counted as 20 draws; not counted: the pilot attack that chooses the number")


def as_row(parts: list[Workload]) -> dict[str, Any]:
    """Parts and their totals, for JSON."""
    passes = {
        "forwards": sum(part.batches * (part.forwards + part.judging) for part in parts),
        "backwards": sum(part.batches * part.backwards for part in parts),
    }
    rows = [{**asdict(part), "seconds": part.seconds} for part in parts]
    return {"parts": rows, **passes, "seconds": sum(part.seconds for part in parts)}


def total(parts: list[Workload]) -> str:
    """The total passes and time of parts, in words."""
    row = as_row(parts)
    return f"{row['forwards']:,} forward and {row['backwards']:,} backward passes, about {duration(row['seconds'])}"


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
