"""``variate list``."""

from __future__ import annotations

from typing import Annotated

import typer

from variate import registry
from variate.cli.options import Json, print_json


def list_entries(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(registry.SINGULAR)}.")],
    json: Json = False,
) -> None:
    """List what there is of a kind, from source text: nothing heavy is imported.

    Example: variate list attacks --json
    """
    found = registry.entries(kind).values()
    if json:
        print_json([entry.as_json() for entry in found])
        return
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        typer.echo(f"{entry.name:{width}}  {entry.summary}")
