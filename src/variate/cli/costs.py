"""What a command would cost, printed: ``--dry-run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from variate.cli import evaluation_command as judging
from variate.cli.options import print_json
from variate.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from variate.study.cost_estimate import Cost


def judge_or_foretell(
    setting: judging.Setting,
    evaluation: Evaluation,
    asked: judging.Asked,
    beside: judging.Beside = judging.ATTACKS_ALONE,
) -> None:
    """Judge a setting and show what came of it; or only say what that would cost."""
    if asked.dry_run:
        foretell(setting, evaluation, beside, json=asked.json)
        return
    records, result = judging.judged(setting, evaluation, asked, beside)
    judging.show(setting, records, result, json=asked.json)


def foretell(setting: judging.Setting, asked: Evaluation, beside: judging.Beside, *, json: bool) -> None:
    """Print what an evaluation would ask, and about how long it would take; nothing is attacked or written."""
    from variate.study.cost_estimate import of_evaluation

    plan = {
        "network": setting.title, "examples": len(setting.x), "budget": str(setting.budget), "draws": str(asked.draws),
        "verdict draws": asked.verdict_draws, "records": str(setting.folder),
    }  # fmt: skip
    costs = of_evaluation(
        setting.network, setting.x, setting.y, budget=str(setting.budget), attacks=asked.attacks, suite=asked.suite,
        doubts=beside.doubts, draws=asked.draws, verdict_draws=asked.verdict_draws,
        batch_size=asked.batch_size, modality=setting.modality, source=setting.sources,
    )  # fmt: skip
    print_costs(costs, plan, devices=beside.devices, as_json=json)


def print_costs(costs: Sequence[Cost], plan: Mapping[str, Any], *, devices: int = 1, as_json: bool) -> None:
    """What a command would do and cost, as a table or as JSON."""
    seconds = sum(cost.seconds for cost in costs)
    if as_json:
        print_json({"plan": plan, "parts": [asdict(cost) for cost in costs], "seconds": seconds})
        return
    for name, value in plan.items():
        typer.echo(f"{name}: {value}")
    width = max(len(cost.what) for cost in costs)
    for cost in costs:
        typer.echo(f"{cost.what:{width}}  {duration(cost.seconds):>7}  {told(cost)}")
    typer.echo(
        f"about {duration(seconds)} on this machine, by a few passes that were timed; less where attacks end early"
    )
    if devices > 1:
        typer.echo(f"in one process; {devices} share it")
    if any(cost.what.startswith("transfer") for cost in costs):
        typer.echo("passes of the network that a transfer holds come on top")


def told(cost: Cost) -> str:
    """What is asked for each example."""
    passes = f"{cost.forwards:,} passes forward, {cost.backwards:,} back"
    asked = f"at most {cost.queries:,} queries, {passes}" if cost.queries else passes
    return f"{cost.examples:,} examples" + (f"; each {asked}" if cost.forwards else "")


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
