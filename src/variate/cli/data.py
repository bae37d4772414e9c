"""``variate data``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.from_fields import names
from variate.cli.options import Config, DataFolder, Json, ShowConfig, print_json
from variate.options import plain

if TYPE_CHECKING:
    from variate.datasets.look import Example, Look
    from variate.datasets.parts.column_look import ColumnLook
    from variate.datasets.splits import SplitName

MOST = 30  # classes and columns shown
GAP = "   "
LONGEST = 60  # characters of the values of a column
COUNTED = {
    "labels": "examples by label",
    "positions": "positions by class",
    "transcript": "symbols",
}  # what is counted, by task; otherwise examples by class


def data(
    what: Annotated[
        str,
        typer.Argument(
            help="a data set, a folder of pictures or sounds, a table, a file.npz, or a module:callable.",
            autocompletion=names("datasets"),
        ),
    ],
    data_folder: DataFolder = None,
    examples: Annotated[int, typer.Option(min=0, help="Number of examples to show.")] = 4,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Look at any data before anything is trained on it: counts, ranges, columns, duplicates, a few examples.

    Examples:
      variate data digits
      variate data pictures/
      variate data csv --data-folder mine.csv --json
    """
    from variate.datasets.look import look

    found = look(what, folder=data_folder, examples=examples)
    if json:
        print_json(found.as_json())
    else:
        _show(found)
    if found.error is not None:
        raise found.error


def _show(found: Look) -> None:
    """Print what was found, in sections."""
    as_what = "" if found.read_as == found.data else f", read as {found.read_as}"
    shape = " x ".join(map(str, found.shape))
    budget = f", usual budget {found.budget}" if found.budget else ""
    typer.echo(f"{found.data}{as_what}" + (f": {found.kind}, {shape}{budget}" if found.kind else ""))
    if found.splits:
        _show_labels(found, {name: part.examples for name, part in found.splits.items()})
        typer.echo("\ninput values")
        rows = [
            [name, f"{part.low:.3g} to {part.high:.3g}", f"mean {part.mean:.3g}"] for name, part in found.splits.items()
        ]
        _print_columns(rows)
    if found.columns:
        _show_columns(found.columns)
    if found.duplicates is not None:
        there = [f"{count:,} {where}" for where, count in found.duplicates.items() if count]
        typer.echo(f"\nduplicates: {'; '.join(there) or 'none'}")
    if found.examples:
        _show_examples(found.examples)
    if found.notes:
        typer.echo("\nnotes")
        for note in found.notes:
            typer.echo(f"  {note}")


def _show_labels(found: Look, examples: Mapping[SplitName, int]) -> None:
    """Print counts by class, or quantiles of numbers, as the task has them."""
    if found.task not in ("", "classes"):
        typer.echo(f"  task {found.task}")
    for name, quantiles in (found.numbers or {}).items():
        typer.echo(f"\n{name}")
        marks = list(next(iter(quantiles.values())))
        rows = [["", *quantiles], *([mark, *(f"{part[mark]:.4g}" for part in quantiles.values())] for mark in marks)]
        _print_columns([*rows, ["examples", *(f"{count:,}" for count in examples.values())]], right=True)
    if found.classes:
        _show_counts(found.classes, found.task, examples)


def _show_counts(classes: Mapping[str, Mapping[SplitName, int]], task: str, examples: Mapping[SplitName, int]) -> None:
    kind, splits = plain(task), list(examples)
    typer.echo(f"\n{COUNTED.get(kind, 'examples by class')}")
    rows = [["", *splits]]
    rows += [[name, *(f"{counts[split]:,}" for split in splits)] for name, counts in list(classes.items())[:MOST]]
    if len(classes) > MOST:
        rows.append([f"and {len(classes) - MOST} more classes"])
    _print_columns(
        [*rows, ["examples" if kind in COUNTED else "all", *(f"{count:,}" for count in examples.values())]], right=True
    )


def _show_columns(columns: Sequence[ColumnLook]) -> None:
    typer.echo("\ncolumns")
    rows = []
    for column in columns[:MOST]:
        values = column.values if len(column.values) <= LONGEST else f"{column.values[:LONGEST]}..."
        missing = f"{column.missing:,} missing" if column.missing else ""
        rows.append([column.name, column.taken_for, values, missing])
    _print_columns(rows)
    if len(columns) > MOST:
        typer.echo(f"  and {len(columns) - MOST} more columns: --json has all")
    odd = [(column.name, cell) for column in columns for cell in column.odd]
    if odd:
        typer.echo("\nodd cells")
        _print_columns([list(pair) for pair in odd])


def _show_examples(examples: Sequence[Example]) -> None:
    """Print examples below each other, or pictures beside each other."""
    typer.echo("\nexamples of the training split")
    if not all(len(example.lines) > 2 for example in examples):
        for example in examples:
            typer.echo(f"  {example.place}, {example.label}: {example.lines[0]}")
            for line in example.lines[1:]:
                typer.echo(f"    {line}")
        return
    titles = [f"{example.place}, {example.label}" for example in examples]
    widths = [max(len(title), len(example.lines[0])) for title, example in zip(titles, examples, strict=True)]
    for beside in [titles, *zip_longest(*(example.lines for example in examples), fillvalue="")]:
        cells = [f"{cell:{width}}" for cell, width in zip(beside, widths, strict=True)]
        typer.echo(f"  {GAP.join(cells).rstrip()}")


def _print_columns(rows: Sequence[Sequence[str]], *, right: bool = False) -> None:
    """Print rows of cells as aligned columns; with ``right``, all but the first are aligned to the right."""
    count = max(map(len, rows))
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(count)]
    for row in rows:
        cells = [f"{cell:{'>' if right and i else ''}{widths[i]}}" for i, cell in enumerate(row)]
        typer.echo(f"  {GAP.join(cells).rstrip()}")
