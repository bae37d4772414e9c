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
from variate.cli.options import Accelerator, Config, Json, Quiet, ShowConfig, begin, print_json, this_command
from variate.errors import UsageError, unknown_name
from variate.options import plain
from variate.study.packaged import packaged_studies
from variate.training.recipe import Recipe

if TYPE_CHECKING:
    from variate.study.file import Study
    from variate.study.grid import Folders, Place

ON_RAY = "with --engine ray"


class EngineName(StrEnum):
    """Where the tasks of a study run."""

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
        Path, typer.Option(help="Folder for networks, records and report; an interrupted study resumes from it.")
    ],
    data_folder: Annotated[
        list[str] | None,
        typer.Option(help="Folder with the data set's files, or NAME=FOLDER for several data sets. Repeatable."),
    ] = None,
    accelerator: Accelerator = Recipe.accelerator,
    seed: Annotated[list[int] | None, typer.Option(help="Seed that replaces those of the file. Repeatable.")] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the networks, their progress, the work left and its approximate time, and exit."
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of networks processed at a time, each in its own process.")
    ] = 1,
    engine: Annotated[
        EngineName,
        typer.Option(help="local: this machine; ray: a Ray cluster with shared folders for --out and the data."),
    ] = EngineName.local,
    address: Annotated[
        str | None, typer.Option(help=f"Address of the cluster, {ON_RAY}; by default RAY_ADDRESS, or this machine.")
    ] = None,
    cpus_per_cell: Annotated[float, typer.Option(min=0, help=f"CPU cores for each network, {ON_RAY}.")] = 1.0,
    gpus_per_cell: Annotated[float, typer.Option(min=0, help=f"GPUs for each network, {ON_RAY}; may be 0.5.")] = 0.0,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train, attack and judge the networks of a grid, and write records.jsonl and report.html.

    Each network of the grid, also called a cell, combines a data set, an architecture, a defense and a seed.

    Examples:
      variate study digits --out runs/digits --workers 2
      variate study mine.toml --out runs/mine --seed 1 --seed 2 --dry-run
    """
    begin(f"{'planning' if dry_run else 'running'} the study {source}, into {out}", quiet=quiet, json=json)
    from variate.files.reading import check_folder
    from variate.study.file import read_study
    from variate.study.grid import left_out

    if engine is EngineName.ray and workers > 1:
        raise UsageError("--workers are processes on this machine", todo="leave out --workers: Ray has its own")
    if engine is EngineName.local and address is not None:
        raise UsageError("--address is the address of a Ray cluster", todo="add --engine ray")
    check_folder(out)
    loaded = read_study(source)
    if seed:
        loaded = loaded.model_copy(update={"seeds": seed})
    folders = _folders(data_folder or [], [plain(data) for data in loaded.data])
    for line in left_out(loaded):
        sys.stderr.write(f"{line}\n")
    if dry_run:
        _print_plan(loaded, out, folders=folders, accelerator=accelerator, as_json=json, quiet=quiet)
        return
    from variate.report.page import write_page
    from variate.report.table import print_study
    from variate.study.running import Where, run_study

    records = run_study(
        loaded,
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


def _folders(words: Sequence[str], data_sets: Sequence[str]) -> Folders:
    """Parse one folder for all data sets, or one for each by name. Raises ``UsageError``."""
    if len(words) == 1 and words[0].partition("=")[0] not in data_sets:
        return Path(words[0])
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals or name not in data_sets:
            raise unknown_name("data set of the study", name, data_sets)
    return {name: Path(folder) for name, _, folder in pairs} or None


def _print_plan(study: Study, out: Path, *, folders: Folders, accelerator: str, as_json: bool, quiet: bool) -> None:
    """Print the networks of a study, their progress and their work; then, as it is measured, the time of each."""
    from variate.progress import progress
    from variate.study.dry_study import of_study
    from variate.study.grid import places, progress_of
    from variate.study.running import check_study

    grid = places(study, out, folders=folders, accelerator=accelerator)
    states = progress_of(study, out, folders=folders, accelerator=accelerator)
    todo = [place for name, place in grid.items() if states[name] != "done"]
    width, done = max(map(len, states)), len(states) - len(todo)
    if not as_json:
        for name, shown in states.items():
            work = f"  {_work_of(study, grid[name])}" if shown != "done" else ""
            typer.echo(f"{name:{width}}  {shown}{work}")
        typer.echo(f"{len(states)} networks: {done} done, {len(todo)} left")
        sys.stdout.flush()
    check_study(study, folders=folders)
    rows, measured = {}, []
    with progress("measuring one batch of each kind", len(todo), "networks", show=not quiet) as report:
        for count, (name, parts) in enumerate(of_study(study, todo), 1):
            rows[name] = as_row(parts)
            measured += parts
            if not as_json:
                typer.echo(f"{name:{width}}  {total(parts)}")
                sys.stdout.flush()
            report(count, name)
    if as_json:
        print_json([{"network": name, "state": shown, **rows.get(name, {})} for name, shown in states.items()])
        return
    typer.echo(f"at most {total(measured)}, one network at a time on this machine, from timing one batch of each kind")


def _work_of(study: Study, place: Place) -> str:
    """What is done for one network, in words, as far as the file says it."""
    from variate.study.grid import fits

    plan, curves, data = study.evaluation, study.curves, place.cell.data
    attacks = sum(fits(attack, budget, data) for attack in plan.attacks for budget in place.budgets)
    points = len(curves.sizes_for(data)) + len(curves.draws)
    counts = {"epoch": 0 if place.members else place.cell.recipe.epochs, "attack": attacks}
    parts = [f"{count} {unit}{'s' * (count != 1)}" for unit, count in counts.items()]
    parts = [f"{len(place.members)} networks as one", *parts[1:]] if place.members else parts
    parts += [f"suite {plan.suite}"] if plan.suite is not None else []
    parts += ["red flags"] if plan.doubts else []
    parts += [f"curves of {points} points"] if points else []
    return f"{', '.join(parts)}, within {' and '.join(place.budgets)}"
