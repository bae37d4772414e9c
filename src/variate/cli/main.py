"""The command line's entry: its commands, and the exit codes 0, 1, 2 (usage), 3 (not enough) and 130 (stopped)."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from variate._version import __version__
from variate.cli import (
    attack,
    audit,
    certify,
    check,
    data,
    doctor,
    evaluate,
    evidence,
    export,
    list_entries,
    report,
    settings,
    spread,
    study,
    train,
    verify,
)
from variate.cli.entry_options import misplaced
from variate.cli.mistakes import PARSER, drawn
from variate.cli.options import print_json
from variate.errors import unknown_name


class Commands(TyperGroup):
    """All commands; a user's mistake ends in a message and an exit code, never in a traceback."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse what stands before the command."""
        with drawn():
            return super().make_context(*args, **extra)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; an unknown one is an error of Variate's, with the nearest name."""
        if not ctx.resilient_parsing and args and not args[0].startswith("-") and args[0] not in self.commands:
            raise unknown_name("command", args[0], list(self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Parse and run the chosen command."""
        if "" not in sys.path:
            sys.path.append("")  # finds a module:callable in the current folder; last, so it shadows nothing
        with drawn():
            return super().invoke(ctx)


class Command(TyperCommand):
    """A command with examples, whose options also take values from the environment and a file."""

    def __init__(self, name: str | None, *, help: str | None = None, **rest: Any) -> None:  # noqa: A002 (typer's name)
        """Move the examples to the epilog, and give every option its environment variable."""
        text, _, examples = (help or "").partition("\n\nExamples:\n")
        super().__init__(name, **rest | {"help": text, "epilog": f"\b\nExamples:\n{examples}"})
        for parameter in settings.options_of(self).values():
            parameter.envvar, parameter.show_envvar = settings.variable_of(str(name), parameter), False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; an unknown option that belongs to a defense or an attack is told where to stand."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except PARSER as mistake:
            unknown = getattr(mistake, "option_name", None)
            if unknown is None or not hasattr(mistake, "possibilities"):
                raise
            error = misplaced(unknown, words, settings.options_of(self), ctx.command_path)
            if error is None:
                raise
            raise error from mistake

    def invoke(self, ctx: Any) -> Any:
        """Run the command, or show its configuration."""
        settings.note_added_options(ctx)
        if not ctx.params.get("show_config"):
            return super().invoke(ctx)
        rows = settings.shown(ctx)
        if ctx.params.get("json"):
            return print_json(rows)
        width = max(len(row["option"]) for row in rows)
        for row in rows:
            typer.echo(f"{row['option']:{width}}  {row['value']!s:24}  {row['from']}")
        return None


class Several(Command):
    """A command whose ``--radii`` take several values after one another."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give each further value its own ``--radii``."""
        spread: list[str] = []
        inside = False
        for word in args:
            if inside and not word.startswith("-") and spread[-1] != "--radii":
                spread.append("--radii")
            inside = word == "--radii" or (inside and not word.startswith("-"))
            spread.append(word)
        return super().parse_args(ctx, spread)


app = typer.Typer(
    name="variate",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", cls=Command)(train.train)
app.command("attack", cls=Command)(attack.attack)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("audit", cls=Command)(audit.audit)
app.command("certify", cls=Several)(certify.certify)
app.command("study", cls=Command)(study.study)
app.command("report", cls=Command)(report.report)
app.command("spread", cls=Command)(spread.spread)
app.command("evidence", cls=Command)(evidence.evidence)
app.command("verify", cls=Command)(verify.verify)
app.command("export", cls=Command)(export.export)
app.command("data", cls=Command)(data.data)
app.command("check", cls=Command)(check.check)
app.command("list", cls=Command)(list_entries.list_entries)
app.command("doctor", cls=Command)(doctor.doctor)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"variate {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Networks whose every parameter is a random variate: train, attack, judge.

    The value of an option comes from the command line, the environment (VARIATE_TRAIN_LR), a file (variate.toml) or
    its default, in this order. --show-config, with any command, shows the source of every value.
    """


def main() -> None:
    """Run the command line."""
    app()
