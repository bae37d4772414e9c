"""A self-contained HTML page from records: it loads nothing from elsewhere and runs only its own script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from variate import registry
from variate.errors import RecordError
from variate.files.reading import replace_text
from variate.flags.raise_flags import Raised, raised
from variate.records import groups
from variate.records.accepted import accepted_rows
from variate.records.file import Records
from variate.records.measure import ACCURACY
from variate.records.rows import CLEAN
from variate.report.attacked import Gallery, galleries, not_shown
from variate.report.bibliography import bibtex
from variate.report.cost import attack_cost, training
from variate.report.estimate import warnings
from variate.report.facts import Facts, facts
from variate.report.figures import Figure, coverage, figures, reliability
from variate.report.formats import names
from variate.report.gains import gains
from variate.report.headline import Headline, Tone, headline
from variate.report.metrics import metric_sheet, reasons
from variate.report.paired import averaging, twins
from variate.report.proved import ACCEPTED_LEGEND, accepted_table, proved_figures, proved_sentences, proved_table
from variate.report.proved import LEGEND as PROVED_LEGEND
from variate.report.reliability import calibration_sheet, reliabilities
from variate.report.runs import compare_runs
from variate.report.selective import selective_sheet
from variate.report.sentences import verdict
from variate.report.sheet import ReportTable, grid_sheet
from variate.report.single import measured
from variate.report.strips import difference_bound, difference_strip, rate_strip
from variate.report.table import TABLES, capitalized, study_grids, titled

TEMPLATES = Path(__file__).parent / "templates"
BLACK_BOX = ("scores", "labels")
BADGES: dict[Tone, str] = {
    "gain": "significant",
    "loss": "significant",
    "nothing": "no gain",
    "open": "undecided",
    "rate": "upper bound",
    "flagged": "red flag",
    "none": "no verdict",
}


@dataclass(frozen=True)
class Flag:
    """A red flag with its findings by network; ``text`` is any of its occurrences."""

    text: Raised
    findings: list[tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Section:
    """The contents of the page for one set of records; parts without data are None or empty."""

    prefix: str
    title: str
    records: Records
    facts: Facts
    headline: Headline
    beside: list[str]
    verdict: list[str]
    warnings: list[Flag]
    notes: list[Flag]
    doubted: dict[str, str]
    tables: list[tuple[str, str, ReportTable]]
    proved: ReportTable | None
    proved_sentences: list[str]
    proved_figures: list[Figure]
    accepted: ReportTable | None
    twins: ReportTable | None
    gains: ReportTable | None
    averaging: ReportTable | None
    figures: list[Figure]
    metrics: ReportTable | None
    reasons: list[str]
    calibration: ReportTable | None
    reliability: list[Figure]
    selective: ReportTable | None
    coverage: list[Figure]
    galleries: list[Gallery]
    cost: ReportTable | None
    training: ReportTable | None
    bibtex: str
    lacking: list[str]
    answers: int
    measure: str
    by_right: bool

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Anchors and titles of its parts."""
        parts: list[tuple[str, str, object]] = [
            ("verdict", "Verdict", True),
            ("flags", "Red flags", self.warnings or self.notes),
            *((part, name, True) for part, name, _ in self.tables),
            ("proved", "Proved", self.proved),
            ("accepted", "Right or abstain", self.accepted),
            ("twins-less", "Differences from the twins", self.twins),
            ("gains", "Differences by deployment and over seeds", self.gains),
            *((figure.id, figure.title, True) for figure in self.figures),
            ("averaging", "Naive and averaged attacks", self.averaging),
            ("metrics", "Metrics of the task", self.metrics),
            ("calibration", "Calibration", self.calibration),
            ("selective", "Selective accuracy", self.selective),
            *((gallery.id, gallery.display.title, True) for gallery in self.galleries),
            ("cost", "Cost", self.cost),
            ("made", "How it was made", True),
            ("cite", "What to cite", True),
            ("lacking", "Limitations", True),
        ]
        return [(f"{self.prefix}{name}", title) for name, title, present in parts if present]


def write_page(records: Sequence[Records], path: str | Path) -> Path:
    """Write the page of one or more sets of records, atomically. Raises ``RecordError``."""
    page, path = page_text(records), Path(path)
    replace_text(path, page, RecordError, todo="free disk space, or choose another path with --out")
    return path


def page_text(records: Sequence[Records]) -> str:
    """The page of one or more sets of records."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    environment.globals |= {"rate_strip": rate_strip, "difference_strip": difference_strip}
    environment.globals |= {"difference_bound": difference_bound, "badges": BADGES}
    several = len(records) > 1
    prefixes = [f"run-{number}-" if several else "" for number in range(1, len(records) + 1)]
    parts = zip(records, names(records), prefixes, strict=True)
    sections = [section(run, name, prefix=prefix) for run, name, prefix in parts]
    return environment.get_template("page.html.j2").render(
        title=f"{len(sections)} runs compared" if several else sections[0].title,
        proved_legend=PROVED_LEGEND,
        accepted_legend=ACCEPTED_LEGEND,
        sections=sections,
        runs=compare_runs(records) if several else None,
        style=style(sections),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def style(sections: Sequence[Section]) -> str:
    """The page's style sheet, including those of the modalities shown."""
    modalities = dict.fromkeys(gallery.modality for part in sections for gallery in part.galleries)
    sheets = [TEMPLATES / "page.css", *(TEMPLATES / "shown" / f"{name}.css" for name in modalities)]
    return "".join(sheet.read_text(encoding="utf-8") for sheet in sheets if sheet.exists())


def section(records: Records, title: str, *, prefix: str = "") -> Section:
    """The section of the page for one set of records; ``prefix`` is prepended to its anchors."""
    flags, measure = _by_flag(records.once("raised", lambda: raised(records))), measured(records)
    return Section(
        prefix=prefix,
        title=title,
        records=records,
        facts=facts(records),
        headline=headline(records),
        beside=groups.notes(records),
        verdict=verdict(records),
        warnings=[flag for flag in flags if flag.text.level == "warning"],
        notes=[flag for flag in flags if flag.text.level != "warning"],
        doubted=dict.fromkeys((flag.network for flag in warnings(records)), f"{prefix}flags"),
        tables=[
            (f"{part}{suffix}", titled(f"{name}{words}", measure.noun), table)
            for part, name in TABLES.items()
            for table_title, content in study_grids(records)
            for suffix, words, repeated in (("", "", False), ("-repeated", " when queries repeat", True))
            if table_title == name and (table := grid_sheet([("", content)], repeated=repeated)) is not None
        ],
        proved=proved_table(records),
        proved_sentences=proved_sentences(records),
        proved_figures=proved_figures(records),
        accepted=accepted_table(accepted_rows(records)),
        twins=twins(records),
        gains=gains(records),
        averaging=averaging(records),
        figures=figures(records),
        metrics=metric_sheet(records),
        reasons=reasons(records),
        calibration=calibration_sheet(records),
        reliability=reliability(records),
        selective=selective_sheet(records),
        coverage=coverage(records),
        galleries=galleries(records),
        cost=attack_cost(records),
        training=training(records),
        bibtex=bibtex(records),
        lacking=lacking(records),
        answers=sum(map(len, records.examples.values())),
        measure=capitalized(measure.noun),
        by_right=measure == ACCURACY,
    )


def lacking(records: Records) -> list[str]:
    """What the records do not show, one sentence each."""
    shown = groups.shown(records)
    used = {claim.attack for claim in shown if claim.part == "table" and claim.attack != CLEAN}
    named = [
        str(part["name"] if isinstance(part, dict) else part)
        for claim in shown
        for part in claim.options.get("attacks", ())
    ]
    entries = registry.entries("attacks")
    access = {entries[name].facts["access"] for name in {*used, *named} if name in entries}
    sentences = [f"Robustness was tested against these attacks only: {', '.join(sorted(used)) or 'none'}."]
    if "gradient" not in access:
        sentences.append("No gradient-based attack was run.")
    if not access & set(BLACK_BOX):
        sentences.append("No black-box attack was run in the main table.")
    if not records.gradients and not records.convergences:
        sentences.append("The measurements for the red flags on gradients and convergence were not made.")
    unseen = not_shown(records)
    if unseen:
        sentences.append(f"Stored examples of {', '.join(unseen)} cannot be displayed.")
    if not reliabilities(records):
        sentences.append("Calibration is not shown: these records hold no confidences.")
    if not records.timings:
        sentences.append("These records do not say how long the attacks took.")
    return sentences


def _by_flag(flags: Sequence[Raised]) -> list[Flag]:
    """Each flag once, with its findings by network; networks with the same findings are grouped."""
    groups: dict[Raised, dict[tuple[str, ...], list[str]]] = {}
    for flag in flags:
        networks = groups.setdefault(replace(flag, network="", findings=()), {})
        networks.setdefault(flag.findings, []).append(flag.network)
    return [
        Flag(flag, [(", ".join(names), findings) for findings, names in networks.items()])
        for flag, networks in groups.items()
    ]
