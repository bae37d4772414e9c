"""What a report is about, for the line under its title: data, examples, budgets, date, version, command."""

from __future__ import annotations

from dataclasses import dataclass

from variate.records.file import Records
from variate.records.groups import shown


@dataclass(frozen=True)
class Facts:
    """The line under the title of a report.

    Attributes:
        words: data set, number of examples, budgets, date of the last run, version of Variate.
        command: the last command that added to the records; empty in records made by a script.
    """

    words: list[str]
    command: str


def facts(records: Records) -> Facts:
    """The facts on a set of records; those that the records do not hold are left out."""
    claims = shown(records, "table") or shown(records)
    counts = sorted({len(records.examples[claim.id]) for claim in claims})
    budgets = dict.fromkeys(claim.budget for claim in claims if claim.budget is not None)
    run = records.runs[-1] if records.runs else None
    words = list(dict.fromkeys(one.data for one in records.runs))
    if counts:
        words.append(f"{' to '.join(map(str, dict.fromkeys([counts[0], counts[-1]])))} test examples")
    words += _few(list(budgets), "budgets")
    if run is not None:
        words.append(run.date)
        version = run.versions.get("variate", "")
        words += [f"Variate {version}"] if version[:1].isdigit() else []
    return Facts(words, run.command if run is not None else "")


def _few(words: list[str], kind: str, most: int = 3) -> list[str]:
    """The words, or how many there are if that would fill the line."""
    return words if len(words) <= most else [f"{len(words)} {kind}"]
