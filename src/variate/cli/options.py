"""Options that several commands share, said once."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from variate.cli import settings
from variate.cli.from_fields import names, typed
from variate.errors import UsageError
from variate.inputs.budget import BEGINNINGS
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
Seed = Annotated[int, typer.Option(help="Seed of everything random; the same seed gives the same records.")]
DataFolder = Annotated[Path | None, typed(Cell, "data_folder")]
Accelerator = Annotated[str, typed(Recipe, "accelerator")]
TrustCode = Annotated[
    bool, typer.Option("--trust-code", help="Allow a saved network that names code of its own (module:callable).")
]


Budget = Annotated[
    str | None,
    typer.Option(
        help="NORM:SIZE, such as linf:8/255, l2:0.5, l1:12 or l0:20.",
        autocompletion=names("", *BEGINNINGS),
    ),
]
Attack = Annotated[
    list[str] | None,
    typer.Option(
        help="NAME or NAME(option=value), such as 'pgd(steps=100)': see `variate list attacks`. Repeatable.",
        autocompletion=names("attacks"),
    ),
]
DrawsWord = Annotated[
    str,
    typer.Option(
        help="Draws that every query of an attack averages over; auto: until the accuracy is flat.",
        autocompletion=names("", "auto"),
    ),
]
VerdictDraws = Annotated[int, typer.Option(min=1, help="Fresh draws of the verdict.")]
Deployments = Annotated[
    list[str] | None,
    typer.Option(
        "--deployment",
        help="single, mean-16, majority-16, survive-10. Repeatable.",
        autocompletion=names("", "single", "mean-", "majority-", "survive-"),
    ),
]
Examples = Annotated[int, typer.Option(min=1, help="How many test examples.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Examples at a time; changes no answer.")]
SuiteOption = Annotated[
    str | None,
    typer.Option(
        help="quick, standard or full; none: the attacks of --attack alone.",
        autocompletion=names("", "quick", "standard", "full", "none"),
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        help="What the suite aims at: next, random, least-likely or a label; nothing without it.",
        autocompletion=names("", "next", "random", "least-likely"),
    ),
]
Memory = Annotated[int | None, typer.Option(min=1, help="Megabytes that an attack may take at once in the network.")]
TimeLimit = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds after which no batch is begun; the same command goes on."),
]
Devices = Annotated[int, typer.Option(min=1, help="Processes on this machine; torchrun starts them on several.")]
Doubts = Annotated[bool, typer.Option(help="Measure what the red flags need, beside the attacks.")]


DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print what would be done, in how many passes, and about how long; do nothing."),
]


def chosen_suite(suite: str | None, attacks: Sequence[str] | None) -> str | None:
    """The suite to run beside the attacks; None for none. Raises ``UsageError`` where nothing would be run."""
    if suite != "none":
        return suite
    if not attacks:
        raise UsageError("no suite and no attack leave nothing to run", todo="--suite none --attack NAME")
    return None


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def this_command() -> str:
    """The command line that was typed, and what environment and file added to it, for the records."""
    import shlex

    words = settings.without(sys.argv[1:], "--config")
    end = words.index("--") if "--" in words else len(words)
    return shlex.join(["variate", *words[:end], *settings.ADDED.get(), *words[end:]])
