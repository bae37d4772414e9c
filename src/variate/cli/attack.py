"""``variate attack``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from variate.cli import evaluation_command as judging
from variate.cli.dry_run import judge_or_plan
from variate.cli.evaluation_command import SharedOptions
from variate.cli.from_fields import Only, from_fields
from variate.cli.options import TrustCode
from variate.errors import UsageError
from variate.evaluation.evaluation import Evaluation


@from_fields
def attack(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    evaluation: Annotated[Evaluation, Only(without=("suite", "target", "time_limit"), needed=("attacks",))],
    *,
    steps: Annotated[int | None, typer.Option(min=1, help="Number of steps, for attacks that have steps.")] = None,
    trust_code: TrustCode = False,
    shared: SharedOptions,
) -> None:
    """Attack a trained network, judge it on fresh draws, and add the answers to RUN/records.jsonl.

    Examples:
      variate attack runs/a --attack pgd --budget linf:0.1 --steps 40 --draws 20
      variate attack runs/a --attack "square(queries=1000)" --attack "pgd(steps=100)" --dry-run
    """
    judging.begin(f"{run}: {', '.join(map(str, evaluation.attacks))}", shared)
    evaluation = replace(evaluation, attacks=[_plan(attack, steps) for attack in evaluation.attacks])
    setting = judging.of_run(run, shared, budget=evaluation.budget, trust_code=trust_code)
    judge_or_plan(setting, evaluation, shared)


def _plan(attack_text: str | Mapping[str, Any], steps: int | None) -> dict[str, Any]:
    """Parse NAME or NAME(option=value), and add --steps if given. Raises ``UsageError``."""
    from variate import options as spec
    from variate.evaluation.plan import attack_options

    name, values = spec.parse(str(attack_text), "an attack")
    if steps is None:
        return {"name": name, **values}
    if "steps" not in attack_options(name):
        raise UsageError(f"{name} has no steps", todo=f"leave out --steps, or run {name} in its own command")
    return {"name": name, **values, "steps": steps}
