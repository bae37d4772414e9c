"""Options that several commands share, said once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random; the same seed gives the same records.")]
DataFolder = Annotated[Path | None, typer.Option(help="Folder that holds the data set's files.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Allow a saved network that names code of its own (module:callable).")
]


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def this_command() -> str:
    """The command line that was typed, for the records."""
    import shlex

    return shlex.join(["variate", *sys.argv[1:]])
