"""``variate verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli.audit import Mode
from variate.cli.options import Config, Json, ShowConfig, TrustCode, begin, print_json
from variate.errors import FALLS_SHORT


def verify(
    evidence: Annotated[Path, typer.Argument(help="Archive that `variate evidence` wrote.")],
    network: Annotated[
        str | None,
        typer.Option(help="Your own network, as FILE.py:callable; by default the one in the archive."),
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Mode in which a network of your own was judged.")] = Mode.as_is,
    judge: Annotated[
        bool, typer.Option(help="Judge the inputs again; otherwise check hashes and budgets alone.")
    ] = True,
    seed: Annotated[int | None, typer.Option(help="Seed of the fresh draws; by default a new one each time.")] = None,
    trust_code: TrustCode = False,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Verify an evidence file: its hashes, the budget of every adversarial input, and every number on fresh draws.

    The exit code is 3 if something does not hold. Nothing in the archive is unpickled.

    Examples:
      variate verify evidence.zip
      variate verify evidence.zip --network mine.py:network --mode eval
    """
    begin(f"verifying {evidence}", quiet=False, json=json)
    from variate.cli.own_module import build
    from variate.evidence.verify import verify as check

    module = None if network is None else build(network)
    if module is not None and mode is not Mode.as_is:
        module.train(mode is Mode.train)
    found = check(evidence, module, judge=judge, seed=seed, trust_code=trust_code)
    if json:
        print_json(found.as_json())
    else:
        typer.echo(str(found))
    if not found.holds:
        raise typer.Exit(FALLS_SHORT)
