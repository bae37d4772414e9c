"""``variate list``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from variate import registry
from variate.cli.options import Json, print_json


def list_entries(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(registry.SINGULAR)}.")],
    json: Json = False,
) -> None:
    """List what there is of a kind, each with its source; read from text: nothing heavy is imported.

    Example: variate list attacks --json
    """
    found = registry.entries(kind).values()
    if json:
        print_json([entry.as_json() for entry in found])
        return
    width = max((len(entry.name) for entry in found), default=0)
    for entry in found:
        typer.echo(f"{entry.name:{width}}  {entry.summary}")
        if entry.facts.get("cite"):
            typer.echo(f"{'':{width}}  {entry.facts['cite']}")
        for variant, norms in _variants(entry.facts.get("variants", {})).items():
            typer.echo(f"{'':{width}}  {entry.name}(attack={variant})  {', '.join(norms)}")


def _variants(by_norm: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The norms of every variant, from the variants of every norm."""
    names = dict.fromkeys(name for variants in by_norm.values() for name in variants)
    return {name: [norm for norm, variants in by_norm.items() if name in variants] for name in names}
