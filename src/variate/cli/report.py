"""``variate report``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Json, print_json
from variate.errors import RecordError


class Form(StrEnum):
    """What a report is written as."""

    html = "html"
    md = "md"


def report(
    paths: Annotated[list[Path], typer.Argument(help="Folders with records, or files of records (.jsonl, .jsonl.gz).")],
    out: Annotated[Path | None, typer.Option(help="The page; report.html beside the first records without it.")] = None,
    form: Annotated[Form, typer.Option("--format", help="html writes the page; md prints the tables.")] = Form.html,
    json: Json = False,
) -> None:
    """Make the table and the page from records alone.

    Example: variate report runs/a
    """
    from variate.record import Records
    from variate.report.page import write_page
    from variate.report.table import markdown, print_study
    from variate.result import result_of

    files = [find_records(path) for path in paths]
    read = [Records(file) for file in files]
    if form is Form.md:
        typer.echo("\n\n".join(markdown(records) for records in read))
        return
    page = write_page(read, out or files[0].parent / "report.html")
    if json:
        print_json([row for r in read for row in result_of(r, list(r.claims.values())).as_json()])
        return
    for records in read:
        print_study(records)
    typer.echo(f"page: {page}")


def find_records(path: Path) -> Path:
    """The file of records at a path. Raises ``RecordError``."""
    from variate.record import RECORDS

    choices = [path] if path.is_file() else [path / RECORDS, path / f"{RECORDS}.gz"]
    for choice in choices:
        if choice.is_file():
            return choice
    raise RecordError(
        f"there are no records at {path}",
        expected="a folder with records.jsonl, or such a file",
        todo="variate attack RUN --attack pgd writes them",
    )
