"""The command line's entry: commands, errors drawn as a tree, exit codes 0, 1, 2 (usage) and 130 (stopped)."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import variate
from variate.cli import attack, audit, check, doctor, evaluate, export, list_entries, report, study, train
from variate.errors import VariateError


class Commands(TyperGroup):
    """All commands: a user's mistake ends in a message and an exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        if "" not in sys.path:
            sys.path.append("")  # the user's own module:callable may stand in the present folder; it shadows nothing
        try:
            return super().invoke(ctx)
        except VariateError as error:
            draw(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as stop:
            sys.stderr.write("\nstopped: what was computed is kept, and the same command goes on from there\n")
            raise typer.Exit(130) from stop


app = typer.Typer(
    name="variate",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("attack")(attack.attack)
app.command("evaluate")(evaluate.evaluate)
app.command("audit")(audit.audit)
app.command("study")(study.study)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("check")(check.check)
app.command("list")(list_entries.list_entries)
app.command("doctor")(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"variate {variate.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Networks whose every parameter is a random variate: train, attack, judge."""


def draw(error: VariateError) -> None:
    """The error as a tree on standard error."""
    parts = [*error.findings]
    parts += [f"expected: {error.expected}"] if error.expected else []
    parts += [f"do: {error.todo}"] if error.todo else []
    lines = [f"error: {error.problem}"]
    lines += [f"{'└─' if i == len(parts) - 1 else '├─'} {part}" for i, part in enumerate(parts)]
    sys.stderr.write("\n".join(lines) + "\n")


def main() -> None:
    """Run the command line."""
    app()
