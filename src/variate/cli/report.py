"""``variate report``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.options import Config, Json, ShowConfig
from variate.errors import RecordError, UsageError

if TYPE_CHECKING:
    from variate.records.file import Records


class ReportFormat(StrEnum):
    """The formats of a report."""

    html = "html"
    md = "md"
    json = "json"
    csv = "csv"
    latex = "latex"


def report(
    paths: Annotated[list[Path], typer.Argument(help="Folders with records, or files of records (.jsonl, .jsonl.gz).")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; by default report.html beside the first records, standard output for other formats."
        ),
    ] = None,
    form: Annotated[
        ReportFormat,
        typer.Option(
            "--format", help="html: the page; md, latex: the tables; json, csv: every rate with its interval."
        ),
    ] = ReportFormat.html,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Write a page, tables or numbers from records; several runs are shown in one table.

    Examples:
      variate report runs/a runs/b --open
      variate report runs/a --format latex --out table.tex
    """
    from variate.files.reading import replace_text
    from variate.records.file import Records
    from variate.records.find import find_records

    form = ReportFormat.json if json else form
    if form is not ReportFormat.html and show:
        raise UsageError(f"--open is for the page, not for {form}", todo="leave out --format and --json")
    files = [find_records(path) for path in paths]
    read = [Records(file) for file in files]
    if form is ReportFormat.html:
        _page(read, out or files[0].parent / "report.html", show=show)
        return
    text = _writer(form)(read)
    if form in (ReportFormat.json, ReportFormat.csv):
        _print_notes(read)
    if out is None:
        sys.stdout.write(text)
        return
    replace_text(out, text, RecordError, todo="free disk space, or choose another file with --out")


def _page(read: Sequence[Records], path: Path, *, show: bool) -> None:
    """Write the page and print its tables; with ``show``, open it in the browser."""
    from variate.report.page import write_page
    from variate.report.table import print_study

    page = write_page(read, path)
    for records in read:
        print_study(records)
    typer.echo(f"page: {page}")
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _print_notes(read: Sequence[Records]) -> None:
    """Print notes on records that are not shown, for formats that cannot hold notes."""
    from variate.records.groups import notes

    for note in (note for records in read for note in notes(records)):
        typer.echo(note, err=True)


def _writer(form: ReportFormat) -> Callable[[Sequence[Records]], str]:
    from variate.report import formats

    writers = {
        ReportFormat.md: formats.as_markdown,
        ReportFormat.json: formats.as_json,
        ReportFormat.csv: formats.as_csv,
        ReportFormat.latex: formats.as_latex,
    }
    return writers[form]
