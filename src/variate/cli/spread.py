"""``variate spread``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Config, Json, ShowConfig, print_json


def spread(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders with records, or files of records, of networks that differ in their seed."),
    ],
    network: Annotated[
        str | None, typer.Option(help="Name of the networks, or of their group in a study of several seeds.")
    ] = None,
    attack: Annotated[
        str | None, typer.Option(help="Name of the attack; by default the strongest that all have in common.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Budget of the attack, as in the records.")] = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Forecast whether averaging draws can pay: how differently several seeds answer the same inputs under attack.

    Only records are read. The more inputs that some of the networks answer correctly and others do not, the more
    averaging can gain.

    Examples:
      variate spread runs/at-0 runs/at-1 runs/at-2
      variate spread runs/study --network at --budget linf:0.1
    """
    from variate.report.spread import spread as spread_of_runs

    found = spread_of_runs(paths, network=network, attack=attack, budget=budget)
    if json:
        print_json(found.as_json())
        return
    typer.echo(str(found))
