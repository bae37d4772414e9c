"""``variate attack``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from variate.cli.options import Accelerator, DataFolder, Json, Quiet, Seed, TrustCode, print_json, this_command
from variate.errors import UsageError


class How(StrEnum):
    """The ways to make draws."""

    loop = "loop"
    vmap = "vmap"
    threads = "threads"
    auto = "auto"


def attack(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    attack: Annotated[list[str], typer.Option(help="An attack: see `variate list attacks`. May be repeated.")],
    budget: Annotated[str | None, typer.Option(help="NORM:SIZE, such as linf:8/255 or l2:0.5.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, for attacks that have them.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Draws that every query of the attack averages over.")] = 20,
    verdict_draws: Annotated[int, typer.Option(min=1, help="Fresh draws of the verdict.")] = 160,
    deployment: Annotated[
        list[str] | None, typer.Option(help="single, mean-16, majority-16, survive-10. May be repeated.")
    ] = None,
    examples: Annotated[int, typer.Option(min=1, help="How many test examples.")] = 1000,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples at a time; changes no answer.")] = 256,
    how: Annotated[
        How, typer.Option(help="How draws are made: loop repeats bit for bit, auto takes the fastest way.")
    ] = How.loop,
    data_folder: DataFolder = None,
    accelerator: Accelerator = "auto",
    trust_code: TrustCode = False,
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attack a trained network, judge it on fresh draws, and add the answers to RUN/records.jsonl.

    Example: variate attack runs/a --attack pgd --budget linf:0.1 --steps 40 --draws 20
    """
    from variate import registry
    from variate.cell import describe, run_record
    from variate.checkpoint import load, read_card
    from variate.evaluation import DEPLOYMENTS, evaluate
    from variate.record import RECORDS, Records
    from variate.training import device_of

    plans = [_plan(name, steps) for name in attack]
    card = read_card(run)
    network = load(run, trust_code=trust_code).to(device_of(accelerator))
    entry = registry.get("datasets", card.data)
    x, y = entry.load()("test", folder=data_folder)
    x, y = x[:examples], y[:examples]
    records = Records(run / RECORDS)
    name = f"{card.defense} {card.architecture}"
    title = f"{name} on {card.data}"
    records.add([run_record(command=this_command(), title=title, data=card.data, seed=seed, x=x)])
    records.add(describe(card, network, name))
    result = evaluate(
        network,
        x,
        y,
        budget=budget or entry.facts["budget"],
        attacks=plans,
        draws=draws,
        deployments=deployment or DEPLOYMENTS,
        verdict_draws=verdict_draws,
        seed=seed,
        batch_size=batch_size,
        records=records,
        name=name,
        pictures=True,
        how=how.value,
        show_progress=not quiet,
    )
    if json:
        print_json(result.as_json())
        return
    from variate.report.table import print_rows, shown_rows

    print_rows(shown_rows(records, result.claims), title)
    typer.echo(f"every answer: {run / RECORDS}; page: variate report {run}")


def _plan(name: str, steps: int | None) -> dict[str, Any]:
    from variate.plan import attack_options

    if steps is None:
        return {"name": name}
    if "steps" not in attack_options(name):
        raise UsageError(f"{name} has no steps", todo=f"leave --steps out, or run {name} in a command of its own")
    return {"name": name, "steps": steps}
