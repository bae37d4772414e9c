"""``variate study``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.dry_run import as_row, total
from variate.cli.from_fields import names
from variate.cli.options import Accelerator, Config, Json, Quiet, ShowConfig, print_json, this_command
from variate.errors import UsageError, unknown_name
from variate.options import plain
from variate.study.packaged import packaged_studies
from variate.training.recipe import Recipe

if TYPE_CHECKING:
    from variate.study.file import Study
    from variate.study.grid import Folders

ON_RAY = "with --engine ray"


class EngineName(StrEnum):
    """Where the networks of a study are worked at."""

    local = "local"
    ray = "ray"


def study(
    source: Annotated[
        str,
        typer.Argument(
            help=f"A TOML file, or one of: {', '.join(packaged_studies())}.",
            autocompletion=names("", *packaged_studies()),
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for networks, records and report; a stopped study goes on from it.")
    ],
    data_folder: Annotated[
        list[str] | None,
        typer.Option(help="Folder that holds a data set's files, or NAME=FOLDER where there are several. Repeatable."),
    ] = None,
    accelerator: Accelerator = Recipe.accelerator,
    seed: Annotated[list[int] | None, typer.Option(help="Instead of the file's seeds. Repeatable.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the networks, how far each is, what is left, and about how long; do nothing."
        ),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Networks worked at a time, each in a process of its own.")] = 1,
    engine: Annotated[
        EngineName,
        typer.Option(help="local: this machine; ray: a Ray cluster that shares the folders of --out and the data."),
    ] = EngineName.local,
    address: Annotated[
        str | None, typer.Option(help=f"Of the cluster, {ON_RAY}; without it RAY_ADDRESS, or this machine.")
    ] = None,
    cpus_per_cell: Annotated[float, typer.Option(min=0, help=f"CPU cores for each network, {ON_RAY}.")] = 1.0,
    gpus_per_cell: Annotated[float, typer.Option(min=0, help=f"GPUs for each network, {ON_RAY}; may be 0.5.")] = 0.0,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the networks of a grid, attack and judge each, and write the table, records.jsonl and report.html.

    Examples:
      variate study digits --out runs/digits --workers 2
      variate study mine.toml --out runs/mine --seed 1 --seed 2 --dry-run
    """
    from variate.report.page import write_page
    from variate.report.table import print_study
    from variate.study.file import read_study
    from variate.study.grid import left_out
    from variate.study.running import Where, run_study

    if engine is EngineName.ray and workers > 1:
        raise UsageError("--workers are processes of this machine", todo="leave them out: Ray has its own")
    if engine is EngineName.local and address is not None:
        raise UsageError("--address is that of a Ray cluster", todo="add --engine ray")
    chosen = read_study(source)
    if seed:
        chosen = chosen.model_copy(update={"seeds": seed})
    folders = _folders(data_folder or [], [plain(data) for data in chosen.data])
    for line in left_out(chosen):
        sys.stderr.write(f"{line}\n")
    if dry_run:
        _print_plan(chosen, out, folders=folders, accelerator=accelerator, as_json=json)
        return
    records = run_study(
        chosen,
        out,
        command=this_command(),
        folders=folders,
        accelerator=accelerator,
        where=Where(engine.value, workers, address, cpus_per_cell, gpus_per_cell),
        show_progress=not quiet,
    )
    page = write_page([records], out / "report.html")
    if json:
        from variate.records.groups import shown
        from variate.records.rows import result_of

        print_json(result_of(records, shown(records)).as_json())
        return
    print_study(records)
    typer.echo(f"every answer: {out / 'records.jsonl'}; page: {page}")


def _folders(words: Sequence[str], known: Sequence[str]) -> Folders:
    """One folder for all data sets, or one for each by name. Raises ``UsageError``."""
    if len(words) == 1 and words[0].partition("=")[0] not in known:
        return Path(words[0])
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals or name not in known:
            raise unknown_name("data set of the study", name, known)
    return {name: Path(folder) for name, _, folder in pairs} or None


def _print_plan(study: Study, out: Path, *, folders: Folders, accelerator: str, as_json: bool) -> None:
    """The networks of a study and how far each is; then, as it is measured, what is left of each."""
    from variate.study.dry_evaluation import of_study
    from variate.study.grid import places
    from variate.study.running import progress_of

    states = progress_of(study, out, folders=folders, accelerator=accelerator)
    grid = places(study, out, folders=folders, accelerator=accelerator)
    left = of_study(study, [place for name, place in grid.items() if states[name] != "done"])
    if as_json:
        rows = {name: as_row(parts) for name, parts in left}
        print_json([{"network": name, "state": state, **rows.get(name, {})} for name, state in states.items()])
        return
    width, done = max(map(len, states)), list(states.values()).count("done")
    for name, state in states.items():
        typer.echo(f"{name:{width}}  {state}")
    typer.echo(f"{len(states)} networks: {done} done, {len(states) - done} left")
    whole = []
    for name, parts in left:
        typer.echo(f"{name:{width}}  {total(parts)}")
        whole += parts
    typer.echo(f"at most {total(whole)}, one network at a time on this machine: one batch of each kind was timed")
