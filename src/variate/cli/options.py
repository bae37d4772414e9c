"""Options that several commands share, said once."""

from __future__ import annotations

import json
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
        help=f"TOML file of options; without it {settings.FILE} in the present folder.",
        envvar=settings.VARIABLE,
        callback=settings.read,
        is_eager=True,
    ),
]
ShowConfig = Annotated[
    bool,
    typer.Option(
        "--show-config",
        help="Print every option and where its value comes from; do nothing.",
        callback=settings.ask_for_nothing,
        is_eager=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
DataFolder = Annotated[Path | None, typed(Cell, "data_folder")]
Accelerator = Annotated[str, typed(Recipe, "accelerator")]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Allow a saved network that names code of its own (module:callable).")
]
Examples = Annotated[int, typer.Option(min=1, help="How many test examples.")]
Devices = Annotated[int, typer.Option(min=1, help="Processes on this machine; torchrun starts them on several.")]
Doubts = Annotated[bool, typer.Option(help="Measure what the red flags need, beside the attacks.")]
Layers = Annotated[bool, typer.Option("--layers", help="Tell whose noise buys the robustness, too.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print what would be done, in how many passes, and about how long; do nothing."),
]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def this_command() -> str:
    """The command line that was typed, and what environment and file added to it, for the records."""
    import shlex

    words = settings.without(sys.argv[1:], "--config")
    end = words.index("--") if "--" in words else len(words)
    return shlex.join(["variate", *words[:end], *settings.ADDED.get(), *words[end:]])
