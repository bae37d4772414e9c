"""What `attack`, `evaluate` and `audit` print at the end: the table, who won, the red flags, verdict, requirements."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from variate.cli.evaluation_command import Setting
from variate.cli.gate import end, judgments_of, print_judgments
from variate.cli.options import print_json

if TYPE_CHECKING:
    from variate.records.file import Records
    from variate.records.rows import Result

SHOWN = 4  # attacks of a suite that are named as winners


def show(
    setting: Setting, records: Records, result: Result, *, json: bool, require: Sequence[str] | None = None
) -> None:
    """Print the table, the red flags, the files with the rest, the verdict and requirements; or everything as JSON.

    The command ends with an exit status of its own if a requirement falls short.
    """
    from variate.evaluation.processes import this_shard
    from variate.flags.raise_flags import raised
    from variate.records.file import RECORDS
    from variate.records.groups import notes
    from variate.records.rows import metric_lines
    from variate.report.headline import headline
    from variate.report.table import print_rows, shown_rows, study_rows

    if this_shard()[0] > 0:
        return
    flags = raised(records)
    lines = headline(records, setting.name).lines
    judgments = judgments_of(records, require, [setting.name])
    if json:
        proved = [row.as_json() for row in result.proved]
        flagged = [flag.as_json() for flag in flags]
        metrics = [line.model_dump(exclude={"kind"}) for line in result.metrics]
        rates = result.as_json()
        required = [judgment.as_json() for judgment in judgments]
        parts = {"rates": rates, "metrics": metrics, "proved": proved, "flags": flagged, "verdict": lines}
        print_json(parts | {"requirements": required})
        end(judgments)
        return
    print_rows(shown_rows(records, result.claims), setting.title)
    rows = study_rows(records, "layers")
    if rows:
        print_rows(rows, "noise by layer")
    said = [*metric_lines(result), *winners(records, result), *costs(records, result)]
    for line in (*said, *(row.sentence for row in result.proved)):
        typer.echo(line)
    for flag in flags:
        typer.echo(f"{flag.level}: {flag.flag}, {flag.network}")
        for line in (*flag.findings, f"do: {flag.remedy}"):
            typer.echo(f"  {line}")
    for note in notes(records):
        typer.echo(note)
    command = shlex.join(["variate", "report", str(setting.folder)])
    typer.echo(f"every answer: {setting.folder / RECORDS}; page: {command}\n")
    for line in lines:
        typer.echo(line)
    print_judgments(judgments)
    end(judgments)


def costs(records: Records, result: Result) -> Sequence[str]:
    """For each suite of a result its passes per example and seconds, by attack, and the price of a query of scores."""
    from variate.report.cost import by_attack, price, spent

    lines: list[str] = []
    priced = next(filter(None, (price(records, claim) for claim in result.claims)), None)
    if priced is not None:
        lines.append(
            f"the price of a query is {priced[0]:.3g}: random scores cost an attacker that many times the queries "
            f"(median of {priced[1]} examples, at the best step)"
        )
    for claim in result.claims:
        parts = by_attack(records, claim)
        total = spent(records, claim) if parts else None
        if total is None or not total.attack_seconds:
            continue
        most = sorted(parts.items(), key=lambda part: -part[1][2])
        shares = [
            f"{name} {forwards:,.0f} + {backwards:,.0f} ({100 * seconds / total.attack_seconds:.0f} % of the time)"
            for name, (forwards, backwards, seconds) in most
        ]
        lines.append(
            f"{claim.attack}: {total.forward_passes:,.0f} forward + {total.backward_passes:,.0f} backward passes an "
            f"example, {total.attack_seconds:.3g} s for all: {', '.join(shares)}"
        )
    return lines


def winners(records: Records, result: Result) -> Sequence[str]:
    """For each suite of a result, the attacks that found the worst inputs, by their share of the examples."""
    lines = []
    for claim in result.claims:
        chosen = Counter(line.chosen for line in records.examples.get(claim.id, {}).values() if line.chosen)
        shares = [f"{attack} on {100 * count / chosen.total():.0f} %" for attack, count in chosen.most_common()]
        if shares:
            others = [f"others on the rest ({len(shares) - SHOWN} attacks)"] if len(shares) > SHOWN else []
            lines.append(f"{claim.attack}: the worst input is that of {', '.join([*shares[:SHOWN], *others])}")
    return lines
