"""What a command would cost, printed: ``--dry-run``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from variate.cli import judging
from variate.cli.options import print_json

if TYPE_CHECKING:
    from variate.forecast import Cost


def foretell(
    setting: judging.Setting,
    *,
    attacks: Sequence[str | Mapping[str, Any]],
    draws: str,
    verdict_draws: int,
    batch_size: int,
    suite: str | None = None,
    doubts: bool = False,
    json: bool,
) -> None:
    """Print what an evaluation would ask, and about how long it would take; nothing is attacked or written."""
    from variate.forecast import of_evaluation

    costs = of_evaluation(
        setting.network, setting.x, setting.y, budget=setting.budget, attacks=attacks, suite=suite, doubts=doubts,
        draws=judging.draws_of(draws), verdict_draws=verdict_draws, batch_size=batch_size, modality=setting.modality,
    )  # fmt: skip
    print_costs(costs, as_json=json)


def print_costs(costs: Sequence[Cost], *, as_json: bool) -> None:
    """What a command would cost, as a table or as JSON."""
    if as_json:
        print_json([asdict(cost) for cost in costs])
        return
    width = max(len(cost.what) for cost in costs)
    for cost in costs:
        asked = f"; each at most {cost.queries:,} queries, {cost.forwards:,} passes forward, {cost.backwards:,} back"
        told = f"{cost.examples:,} examples{asked if cost.forwards else ''}"
        typer.echo(f"{cost.what:{width}}  {duration(cost.seconds):>7}  {told}")
    whole = duration(sum(cost.seconds for cost in costs))
    typer.echo(f"about {whole} on this machine, by a few passes that were timed; less where attacks end early")


def duration(seconds: float) -> str:
    """Seconds in words: 4.2 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
