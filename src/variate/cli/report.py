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


class Form(StrEnum):
    """What a report is written as."""

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
            help="Where to write; report.html beside the first records, or standard output for other formats."
        ),
    ] = None,
    form: Annotated[
        Form,
        typer.Option(
            "--format", help="html: the page; md, latex: the tables; json, csv: every rate with its interval."
        ),
    ] = Form.html,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Make the page, the tables or the numbers from records alone; several runs stand in one table too.

    Examples:
      variate report runs/a runs/b --open
      variate report runs/a --format latex --out table.tex
    """
    from variate.records.file import Records

    form = Form.json if json else form
    if form is not Form.html and show:
        raise UsageError(f"--open is for the page, not for {form}", todo="leave out --format and --json")
    files = [find_records(path) for path in paths]
    read = [Records(file) for file in files]
    if form is Form.html:
        _page(read, out or files[0].parent / "report.html", show=show)
        return
    text = _writer(form)(read)
    if form in (Form.json, Form.csv):
        _tell_notes(read)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot write {out}: {error.strerror}", todo="choose another place with --out") from error


def find_records(path: Path) -> Path:
    """The file of records at a path. Raises ``RecordError``."""
    from variate.records.file import RECORDS

    choices = [path] if path.is_file() else [path / RECORDS, path / f"{RECORDS}.gz"]
    for choice in choices:
        if choice.is_file():
            return choice
    raise RecordError(
        f"there are no records at {path}",
        expected="a folder with records.jsonl, or such a file",
        todo="variate attack RUN --attack pgd writes them",
    )


def _page(read: Sequence[Records], path: Path, *, show: bool) -> None:
    """Write the page and print its tables; open it, if asked to."""
    from variate.report.page import write_page
    from variate.report.table import print_study

    page = write_page(read, path)
    for records in read:
        print_study(records)
    typer.echo(f"page: {page}")
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _tell_notes(read: Sequence[Records]) -> None:
    """What the records hold beside what is shown, where the format has no place for it."""
    from variate.records.groups import notes

    for note in (note for records in read for note in notes(records)):
        typer.echo(note, err=True)


def _writer(form: Form) -> Callable[[Sequence[Records]], str]:
    from variate.report import formats

    writers = {
        Form.md: formats.as_markdown,
        Form.json: formats.as_json,
        Form.csv: formats.as_csv,
        Form.latex: formats.as_latex,
    }
    return writers[form]
