"""``variate evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli import evaluation_command as judging
from variate.cli.dry_run import judge_or_plan
from variate.cli.evaluation_command import Extras, SharedOptions
from variate.cli.from_fields import from_fields
from variate.cli.options import TrustCode
from variate.evaluation.evaluation import Evaluation


@from_fields
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    *,
    evaluation: Evaluation = judging.STANDARD,
    source: Annotated[
        list[Path] | None, typer.Option(help="Folder of another trained network to transfer from. Repeatable.")
    ] = None,
    extras: Extras,
    trust_code: TrustCode = False,
    shared: SharedOptions,
) -> None:
    """Evaluate a trained network: a suite of attacks, a verdict on fresh draws, and red flags.

    Every answer is added to RUN/records.jsonl; answers that are there already are not computed again.

    Examples:
      variate evaluate runs/a --suite standard --budget linf:0.1 --examples 500
      variate evaluate runs/a --suite quick --source runs/b --devices 2 --json
    """
    judging.begin(f"{run}: {judging.named(evaluation)}", shared)
    judging.check_something_is_run(evaluation)
    if not shared.dry_run and judging.spread(extras.devices):
        return
    setting = judging.of_run(run, shared, budget=evaluation.budget, trust_code=trust_code, sources=source or [])
    judge_or_plan(setting, evaluation, shared, extras)
