"""Calibration of the networks: a table of calibration errors, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from variate.records.calibration import Bin, Calibration, answered, calibration
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import deployments_of
from variate.records.rows import CLEAN
from variate.report import single
from variate.report.plot import Curve, CurvePoint, draw_curves
from variate.report.sheet import Head, ReportTable, TableCell, count_cell, rate_cell
from variate.statistics.rates import Deployment
from variate.statistics.selective import Selective, selective

CLEAN_COLOR, ATTACKED_COLOR, GRAY = 0, 1, 6  # of the colors of figures
TICKS = (0, 20, 40, 60, 80, 100)
MOST = 7  # curves per diagram, the number of colors; if there are more, only single-draw deployments are drawn


@dataclass(frozen=True)
class Reliability:
    """One deployment of a network under one claim.

    Attributes:
        claim: the claim, clean or attacked.
        deployment: deployment that answered; ``any`` for a deterministic network.
        calibration: calibration of its answers.
        selective: their accuracy against coverage.
    """

    claim: Claim
    deployment: str
    calibration: Calibration
    selective: Selective

    @property
    def clean(self) -> bool:
        """Whether the inputs are clean."""
        return self.claim.attack == CLEAN

    @property
    def color(self) -> int:
        """The color of its curves."""
        return CLEAN_COLOR if self.clean else ATTACKED_COLOR

    @property
    def dashed(self) -> bool:
        """Whether its curves are dashed."""
        return self.deployment not in ("any", "single")

    @property
    def label(self) -> str:
        """The attack, with the deployment unless that is a single draw."""
        attack = "without attack" if self.clean else f"under {self.claim.attack}"
        return attack if self.deployment in ("any", "single") else f"{attack}, {self.deployment}"


def reliabilities(records: Records) -> list[Reliability]:
    """Every network on clean inputs and under its strongest attack; empty without confidences."""
    return records.once(
        "reliabilities", lambda: [curve for claim in _claims(records) for curve in _by_deployment(records, claim)]
    )


def calibration_sheet(records: Records) -> ReportTable | None:
    """The calibration error of every network and deployment; None without confidences."""
    lines = []
    for line in reliabilities(records):
        own = line.calibration
        words = [line.claim.network, line.deployment, single.attack_words(line.claim), line.claim.budget or "none"]
        shares = [TableCell(f"{100 * value:.1f}", value=value) for value in (own.accuracy, own.confidence)]
        error = rate_cell(own.error, own.low, own.high)
        rest = [
            TableCell(f"{100 * own.chance:.1f}", value=own.chance),
            TableCell(f"{own.brier:.3f}", value=own.brier),
        ]
        lines.append([*map(TableCell, words), count_cell(own.examples), *shares, error, *rest])
    heads: list[Head] = [("network",), ("deployment",), ("attack",), ("budget",), ("n", "examples")]
    heads += [
        ("accuracy, %",),
        ("confidence", "mean, %"),
        ("ECE, %",),
        ("by chance", "ECE up to, %"),
        ("Brier", "score"),
    ]
    return ReportTable(heads, lines, words=4) if lines else None


def drawable(ours: Sequence[Reliability]) -> Sequence[Reliability]:
    """Those to draw in one figure: of more than seven, only single-draw deployments."""
    alone = [line for line in ours if line.deployment in ("any", "single")] if len(ours) > MOST else ours
    return alone or ours


def diagram(ours: Sequence[Reliability], *, name: str) -> tuple[str, ReportTable]:
    """The reliability diagram of one network: accuracy against confidence, with the diagonal of perfect calibration.

    Args:
        ours: one or more of its deployments, without and under attack; if there are more than seven, only single-draw
            deployments are drawn.
        name: accessible name of the figure.
    """
    diagonal = Curve("perfect calibration", [CurvePoint(0, 0), CurvePoint(100, 100)], GRAY, dashed=True)
    curves = [_curve(line, line.color) for line in drawable(ours)]
    across = "confidence, %"
    svg = draw_curves([*curves, diagonal], name=name, across=across, up="accuracy, %", log=False, ticks=TICKS)
    heads: list[Head] = [("condition",), ("confidence", "mean of the bin, %"), ("accuracy, %",), ("n", "examples")]
    lines = [_bin_line(line.label, part) for line in ours for part in line.calibration.bins]
    return svg, ReportTable(heads, lines)


def _claims(records: Records) -> list[Claim]:
    networks = dict.fromkeys(claim.network for claim in single.judged(records, "table"))
    settings = [(name, budget) for name in networks for budget in [None, *single.budgets(records, name)[:1]]]
    strongest = [single.strongest(records, name, budget) for name, budget in settings]
    return [claim for claim in strongest if claim is not None]


def _by_deployment(records: Records, claim: Claim) -> list[Reliability]:
    sources = dict.fromkeys(Deployment.parse(word).source for word in deployments_of(records, claim))
    if claim.verdict_draws == 1:
        sources = dict.fromkeys([next(iter(sources))])
    measured = {source: answered(records, claim, source) for source in sources}
    return [
        Reliability(claim, source if claim.verdict_draws > 1 else "any", calibration(*own), selective(*own))
        for source, own in measured.items()
        if own is not None
    ]


def _curve(line: Reliability, color: int) -> Curve:
    bins = line.calibration.bins
    points = [CurvePoint(100 * b.confidence, 100 * b.accuracy, 100 * b.low, 100 * b.high) for b in bins]
    return Curve(line.label, points, color, dashed=line.dashed)


def _bin_line(label: str, part: Bin) -> list[TableCell]:
    confidence = TableCell(f"{100 * part.confidence:.1f}", value=part.confidence)
    return [TableCell(label), confidence, rate_cell(part.accuracy, part.low, part.high), count_cell(part.examples)]
