"""Options that several commands share."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from variate.cli import settings
from variate.cli.from_fields import typed
from variate.training.cell import Cell
from variate.training.recipe import Recipe

Config = Annotated[
    Path | None,
    typer.Option(
        help=f"TOML file of options; by default {settings.FILE} in the current folder, if any.",
        envvar=settings.VARIABLE,
        callback=settings.read,
        is_eager=True,
    ),
]
ShowConfig = Annotated[
    bool,
    typer.Option(
        "--show-config",
        help="Print every option with its value and source, and exit.",
        callback=settings.lift_requirements,
        is_eager=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show progress.")]
DataFolder = Annotated[Path | None, typed(Cell, "data_folder")]
Task = Annotated[str | None, typed(Cell, "task")]
Accelerator = Annotated[str, typed(Recipe, "accelerator")]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Allow a saved network to run code that it names (module:callable).")
]
Examples = Annotated[int, typer.Option(min=1, help="Number of test examples.")]
Devices = Annotated[
    int, typer.Option(min=1, help="Number of processes on this machine; for several machines use torchrun.")
]
Doubts = Annotated[bool, typer.Option(help="Also measure the evidence that the red flags need.")]
Layers = Annotated[bool, typer.Option("--layers", help="Also measure which layer's noise provides the robustness.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the plan, its number of passes and approximate time, and exit."),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        help="What must hold, by the end of its interval, such as 'survive-10>=40', 'certified vote l2:0.5>=30' or 'no "
        "flags'; the exit code is 3 if it does not. Repeatable."
    ),
]


def begin(text: str, *, quiet: bool, json: bool) -> None:
    """Say what a command begins, before it loads anything heavy; one of several processes does.

    The line goes to standard output, so that an error is the first thing on standard error; JSON stays alone there.
    """
    if not quiet and os.environ.get("LOCAL_RANK", "0") == "0":
        stream = sys.stderr if json else sys.stdout
        stream.write(f"{text}\n")
        stream.flush()


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def this_command() -> str:
    """The command line as typed, plus options from the environment and the file, for the records."""
    import shlex

    words = settings.without(sys.argv[1:], "--config")
    end = words.index("--") if "--" in words else len(words)
    return shlex.join(["variate", *words[:end], *settings.ADDED.get(), *words[end:]])
