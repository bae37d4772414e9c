"""``variate certify``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from variate.certificates.certification import Certification
from variate.cli import evaluation_command as judging
from variate.cli.audit import Mode
from variate.cli.evaluation_command import Setting, SharedOptions
from variate.cli.from_fields import from_fields
from variate.cli.gate import check_requirements, end, judgments_of, print_judgments
from variate.cli.options import TrustCode, begin, print_json
from variate.errors import UsageError


@from_fields
def certify(
    target: Annotated[
        str,
        typer.Argument(help="Folder that `variate train` wrote, or your own network, as FILE.py:callable."),
    ],
    certification: Certification,
    *,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help="Attack under which certified-R is judged at every radius; none: only prove. Repeatable; default: "
            "error-rate, once for accepted and wrong answers and once for abstentions."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data for a network of your own, as in `variate audit`.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the records; by default the folder of the trained network.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Mode in which a network of your own is certified.")] = Mode.as_is,
    trust_code: TrustCode = False,
    shared: SharedOptions,
) -> None:
    """Prove how often a random network is right, whatever an attacker does within a budget.

    The network needs random noise on its input: the defense random-smoothing, smoothing, or a Shift or Mask of your own
    (variate list certificates). Votes are kept in records.jsonl; an interrupted certification resumes from them.

    Examples:
      variate certify runs/c --examples 500 --draws 10000 --radii 0.25 0.5 0.75 1.0
      variate certify runs/c --deployment certified-0.5 --radii 0.25 0.5 --examples 100
      variate certify mine.py:network --data mine.py:data --out runs/mine
    """
    doing = "planning" if shared.dry_run else "certifying"
    begin(f"{doing} {target}: {certification.draws} votes an example", quiet=shared.quiet, json=shared.json)
    check_requirements(shared.require)
    from variate.certificates.acceptance import CHOOSING
    from variate.certificates.certify import certify as prove
    from variate.certificates.judge_certified import judge_certified
    from variate.files.reading import check_folder
    from variate.records.file import RECORDS, Records
    from variate.records.proofs import without
    from variate.report.proved import ACCEPTED_LEGEND, LEGEND, print_accepted, print_proved
    from variate.statistics.accepted import certified_radius
    from variate.tasks.task import task_of

    setting = _setting(target, data, out, mode, shared, trust_code=trust_code)
    check_folder(setting.folder)
    if shared.dry_run:
        passes = len(setting.x) * (certification.draws + CHOOSING) * certification.votes_of
        plan = {"network": setting.title, "examples": len(setting.x), "forward passes": passes}
        _print_plan(plan, as_json=shared.json)
        return
    records = Records(setting.folder / RECORDS)
    with records.held():
        records.add([setting.run_line(certification.seed), *setting.lines])
        shown: dict[str, Any] = {
            "records": records,
            "name": setting.name,
            "modality": setting.modality,
            "show_progress": not shared.quiet,
        }
        proof = prove(setting.network, setting.x, setting.y, certification=certification, task=setting.task, **shown)
        accepted = [
            row
            for use in certification.deployments
            if (size := certified_radius(use)) is not None and attack != ["none"]
            for row in judge_certified(
                task_of(setting.task).answers(setting.network),
                setting.x,
                setting.y,
                radius=size,
                budgets=[f"{proof.norm}:{radius}" for radius in certification.radii],
                attacks=attack,
                casting=replace(certification, norm=proof.norm),
                **shown,
            )
        ]
    judgments = judgments_of(records, shared.require, [setting.name])
    if shared.json:
        rows = [row.model_dump() for row in proof.rows]
        judged = [asdict(row) for row in accepted]
        required = [judgment.as_json() for judgment in judgments]
        parts = {"rows": rows, "judged": judged, "abstained": proof.abstained, "sentence": proof.sentence}
        print_json(parts | {"requirements": required})
        end(judgments)
        return
    print_proved(proof.rows, setting.title)
    typer.echo(LEGEND)
    if accepted:
        print_accepted(accepted)
        typer.echo(ACCEPTED_LEGEND)
    left_out = without(proof.abstained, len(proof.label), proof.label.numel())
    typer.echo(f"{proof.sentence} No certificate for {left_out}.")
    typer.echo(f"every vote: {setting.folder / RECORDS}")
    print_judgments(judgments)
    end(judgments)


def _print_plan(plan: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    for name, value in plan.items():
        typer.echo(f"{name}: {value}")


def _setting(
    target: str, data: str | None, out: Path | None, mode: Mode, shared: SharedOptions, *, trust_code: bool
) -> Setting:
    """The network and its inputs: of a run folder, or the user's own. Raises ``UsageError``."""
    if ":" not in target:
        if data is not None:
            raise UsageError("--data is for a network of your own", todo="leave it out: the run knows its data")
        setting = judging.of_run(Path(target), shared, budget=None, trust_code=trust_code)
        return setting if out is None else replace(setting, folder=out)
    if data is None or out is None:
        raise UsageError("a network of your own needs --data and --out", todo="--data digits --out runs/mine")
    return judging.of_module(target, data, out, shared, mode=mode.value, budget="l2:1")
