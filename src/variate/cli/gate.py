"""``--require``: judge what is recorded, say what falls short, and end with an exit code of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from variate.errors import FALLS_SHORT

if TYPE_CHECKING:
    from variate.records.file import Records
    from variate.report.gate.judgment import Judgment


def check_requirements(requirements: Sequence[str] | None) -> None:
    """Read requirements before any work is done for them. Raises ``UsageError``."""
    from variate.report.gate.requirement import Requirement

    for text in requirements or ():
        Requirement.parse(text)


def judgments_of(
    records: Records, requirements: Sequence[str] | None, networks: Sequence[str] | None = None
) -> list[Judgment]:
    """The judgments of requirements on some networks, by default all; none without requirements."""
    from variate.report.gate.judgment import judged

    return judged(records, requirements, networks) if requirements else []


def print_judgments(judgments: Sequence[Judgment], *, to_error: bool = False) -> None:
    """Print one line for each judgment."""
    for judgment in judgments:
        typer.echo(str(judgment), err=to_error)


def end(judgments: Sequence[Judgment]) -> None:
    """End the command with its own exit status if a requirement falls short."""
    if not all(judgment.holds for judgment in judgments):
        raise typer.Exit(FALLS_SHORT)
