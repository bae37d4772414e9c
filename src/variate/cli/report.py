"""``variate report``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.gate import check_requirements, end, judgments_of, print_judgments
from variate.cli.options import Config, Json, Require, ShowConfig
from variate.errors import RecordError, UsageError

if TYPE_CHECKING:
    from variate.records.file import Records
    from variate.report.gate.judgment import Judgment


class ReportFormat(StrEnum):
    """The formats of a report."""

    html = "html"
    md = "md"
    json = "json"
    csv = "csv"
    latex = "latex"
    junit = "junit"
    github = "github"


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
            "--format",
            help="html: the page; md, latex: the tables; json, csv: every rate with its interval; junit: the "
            "requirements as tests; github: requirements, verdict, red flags and tables for a summary or a comment.",
        ),
    ] = ReportFormat.html,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    require: Require = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Write a page, tables or numbers from records, and judge requirements; several runs are shown in one table.

    Examples:
      variate report runs/a runs/b --open
      variate report runs/a --format latex --out table.tex
      variate report runs/a --require "survive-10>=40" --require "no flags" --format junit --out junit.xml
    """
    from variate.files.reading import replace_text
    from variate.records.file import Records
    from variate.records.find import find_records

    form = ReportFormat.json if json else form
    if form is not ReportFormat.html and show:
        raise UsageError(f"--open is for the page, not for {form}", todo="leave out --format and --json")
    if form is ReportFormat.junit and not require:
        raise UsageError("junit lists requirements, and there is none", todo='--require "survive-10>=40", for example')
    check_requirements(require)
    files = [find_records(path) for path in paths]
    read = [Records(file) for file in files]
    judgments = [judgment for one in read for judgment in judgments_of(one, require)]
    if form is ReportFormat.html:
        _page(read, out or files[0].parent / "report.html", show=show)
        print_judgments(judgments)
        end(judgments)
        return
    text = _writer(form, judgments)(read)
    if form in (ReportFormat.json, ReportFormat.csv):
        _print_notes(read)
    if out is None:
        sys.stdout.write(text)
    else:
        replace_text(out, text, RecordError, todo="free disk space, or choose another file with --out")
    print_judgments(judgments, to_error=True)
    end(judgments)


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


def _writer(form: ReportFormat, judgments: Sequence[Judgment]) -> Callable[[Sequence[Records]], str]:
    from variate.report import formats
    from variate.report.gate.formats import as_github, as_junit

    writers = {
        ReportFormat.md: formats.as_markdown,
        ReportFormat.json: formats.as_json,
        ReportFormat.csv: formats.as_csv,
        ReportFormat.latex: formats.as_latex,
        ReportFormat.junit: lambda _: as_junit(judgments),
        ReportFormat.github: lambda read: as_github(read, judgments),
    }
    return writers[form]
