"""``variate study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Accelerator, DataFolder, Json, Quiet, print_json, this_command
from variate.packaged import packaged_studies


def study(
    source: Annotated[str, typer.Argument(help=f"A TOML file, or one of: {', '.join(packaged_studies())}.")],
    out: Annotated[
        Path, typer.Option(help="Folder for networks, records and report; a stopped study goes on from it.")
    ],
    data_folder: DataFolder = None,
    accelerator: Accelerator = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train several networks, attack and judge each, and write the table, records.jsonl and report.html.

    Example: variate study digits --out runs/digits
    """
    from variate.report.page import write_page
    from variate.report.table import print_study
    from variate.study import read_study, run_study

    chosen = read_study(source)
    records = run_study(
        chosen, out, command=this_command(), data_folder=data_folder, accelerator=accelerator, show_progress=not quiet
    )
    page = write_page([records], out / "report.html")
    if json:
        from variate.result import result_of

        print_json(result_of(records, list(records.claims.values())).as_json())
        return
    print_study(records)
    typer.echo(f"every answer: {out / 'records.jsonl'}; page: {page}")
