"""``variate list``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from variate import registry
from variate.cli.from_fields import names
from variate.cli.options import Config, Json, ShowConfig, print_json
from variate.errors import UsageError

BY_MODALITY = ("attacks", "datasets", "networks", "modalities")  # kinds whose entries serve some kinds of inputs


def list_entries(
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"One of {', '.join(registry.SINGULAR)}; may be left out with --modality.",
            autocompletion=names("", *registry.SINGULAR),
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="What works on one kind of inputs, such as image or tabular.", autocompletion=names("modalities")
        ),
    ] = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """List what there is of a kind, each with its source; read from text: nothing heavy is imported.

    Examples:
      variate list attacks --json
      variate list --modality tabular
    """
    found = {one: _fitting(one, modality) for one in _kinds(kind, modality)}
    if json:
        whole = {one: [entry.as_json() for entry in entries] for one, entries in found.items()}
        print_json(whole if kind is None else whole[kind])
        return
    for one, entries in found.items():
        if kind is None:
            typer.echo(one)
        _show(entries, "  " if kind is None else "")


def _kinds(kind: str | None, modality: str | None) -> list[str]:
    """The kinds to list. Raises ``UsageError``."""
    if modality is None and kind is None:
        raise UsageError("there is nothing to list", expected=f"a kind ({', '.join(registry.SINGULAR)}), or --modality")
    if kind is not None:
        registry.entries(kind)  # the name of a kind comes before that of a modality
    if modality is not None:
        registry.get("modalities", modality)
        if kind is not None and kind not in BY_MODALITY:
            raise UsageError(f"{kind} serve every modality", expected=f"one of {', '.join(BY_MODALITY)}")
    return list(BY_MODALITY) if kind is None else [kind]


def _fitting(kind: str, modality: str | None) -> list[registry.Entry]:
    """The entries of a kind that work on a modality; all without one."""
    found = registry.entries(kind).values()
    if modality is None:
        return list(found)
    if kind == "modalities":
        return [entry for entry in found if entry.name == modality]
    return [entry for entry in found if modality in _listed(entry.facts["modality"])]


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _show(entries: Sequence[registry.Entry], before: str) -> None:
    """A line or more for each entry, its name first."""
    width = max((len(entry.name) for entry in entries), default=0)
    blank = before + " " * width
    for entry in entries:
        typer.echo(f"{before}{entry.name:{width}}  {entry.summary}")
        if entry.facts.get("cite"):
            typer.echo(f"{blank}  {entry.facts['cite']}")
        for variant, norms in _variants(entry.facts.get("variants", {})).items():
            typer.echo(f"{blank}  {entry.name}(attack={variant})  {', '.join(norms)}")


def _variants(by_norm: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The norms of every variant, from the variants of every norm."""
    names = dict.fromkeys(name for variants in by_norm.values() for name in variants)
    return {name: [norm for norm, variants in by_norm.items() if name in variants] for name in names}
