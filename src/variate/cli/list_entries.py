"""``variate list``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from variate import registry
from variate.cli.from_fields import names
from variate.cli.options import Config, Json, ShowConfig, print_json
from variate.errors import UsageError

BY_MODALITY = ("attacks", "datasets", "networks", "modalities")  # kinds whose entries support only some modalities


def list_entries(
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"One of {', '.join(registry.SINGULAR)}; optional with --modality.",
            autocompletion=names("", *registry.SINGULAR),
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="Only entries for one kind of inputs, such as image or tabular.", autocompletion=names("modalities")
        ),
    ] = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """List the entries of a kind, each with its source, without importing anything heavy.

    Examples:
      variate list attacks --json
      variate list --modality tabular
    """
    listing = {k: _matching(k, modality) for k in _kinds(kind, modality)}
    if json:
        rows = {k: [entry.as_json() for entry in entries] for k, entries in listing.items()}
        print_json(rows if kind is None else rows[kind])
        return
    for k, entries in listing.items():
        if kind is None:
            typer.echo(k)
        _show(entries, "  " if kind is None else "")


def _kinds(kind: str | None, modality: str | None) -> list[str]:
    """The kinds to list. Raises ``UsageError``."""
    if modality is None and kind is None:
        raise UsageError("there is nothing to list", expected=f"a kind ({', '.join(registry.SINGULAR)}), or --modality")
    if kind is not None:
        registry.entries(kind)  # report an unknown kind before an unknown modality
    if modality is not None:
        registry.get("modalities", modality)
        if kind is not None and kind not in BY_MODALITY:
            raise UsageError(f"{kind} work with every modality", expected=f"one of {', '.join(BY_MODALITY)}")
    return list(BY_MODALITY) if kind is None else [kind]


def _matching(kind: str, modality: str | None) -> list[registry.Entry]:
    """The entries of a kind that support a modality; all entries if it is None."""
    entries = registry.entries(kind).values()
    if modality is None:
        return list(entries)
    if kind == "modalities":
        return [entry for entry in entries if entry.name == modality]
    return [entry for entry in entries if modality in _listed(entry.facts["modality"])]


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _show(entries: Sequence[registry.Entry], indent: str) -> None:
    """Print one or more lines per entry, its name first."""
    width = max((len(entry.name) for entry in entries), default=0)
    blank = indent + " " * width
    for entry in entries:
        typer.echo(f"{indent}{entry.name:{width}}  {entry.summary}")
        if entry.facts.get("cite"):
            typer.echo(f"{blank}  {entry.facts['cite']}")
        for variant, norms in _variants(entry.facts.get("variants", {})).items():
            typer.echo(f"{blank}  {entry.name}(attack={variant})  {', '.join(norms)}")


def _variants(by_norm: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The norms of every variant, from the variants of every norm."""
    names = dict.fromkeys(name for variants in by_norm.values() for name in variants)
    return {name: [norm for norm, variants in by_norm.items() if name in variants] for name in names}
