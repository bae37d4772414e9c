"""Whether networks are right as often as they are sure: calibration errors in a table, and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from variate.records.calibration import Bin, Calibration, calibration_of
from variate.records.file import Records
from variate.records.groups import deployments_of
from variate.records.rows import CLEAN
from variate.records.schema import Claim
from variate.report import single
from variate.report.plot import Curve, CurvePoint, draw_curves
from variate.report.sheet import Head, ReportTable, TableCell, count_cell, rate_cell
from variate.statistics.rates import Deployment

GRAY = 6  # the last of the colors
TICKS = (0, 20, 40, 60, 80, 100)
MOST = 7  # curves in one diagram, as many as there are colors; with more only those of single draws are drawn


@dataclass(frozen=True)
class Reliability:
    """One deployment of a network under one claim.

    Attributes:
        claim: what was done to the inputs.
        deployment: whose answers; ``any`` of a deterministic network.
        found: its calibration.
    """

    claim: Claim
    deployment: str
    found: Calibration

    @property
    def clean(self) -> bool:
        """Whether the inputs were not attacked."""
        return self.claim.attack == CLEAN

    @property
    def label(self) -> str:
        """The network, and how it was deployed where that is not one draw."""
        alone = self.deployment in ("any", "single")
        return self.claim.network if alone else f"{self.claim.network}, {self.deployment}"


def reliabilities(records: Records) -> list[Reliability]:
    """Every network without attack, and under the attack that leaves it the fewest right; none without confidences."""
    return records.once("reliabilities", lambda: [one for claim in _claims(records) for one in _of(records, claim)])


def calibration_sheet(records: Records) -> ReportTable | None:
    """The calibration error of every network and deployment; None without confidences."""
    lines = []
    for one in reliabilities(records):
        found = one.found
        words = [one.claim.network, one.deployment, single.attack_words(one.claim), one.claim.budget or "none"]
        shares = [TableCell(f"{100 * value:.1f}", value=value) for value in (found.accuracy, found.confidence)]
        error = rate_cell(found.error, found.low, found.high)
        rest = [
            TableCell(f"{100 * found.chance:.1f}", value=found.chance),
            TableCell(f"{found.brier:.3f}", value=found.brier),
        ]
        lines.append([*map(TableCell, words), count_cell(found.examples), *shares, error, *rest])
    heads: list[Head] = [("network",), ("deployment",), ("attack",), ("budget",), ("examples",)]
    heads += [("right, %",), ("confidence", "mean, %"), ("ECE, %",), ("by chance", "ECE up to, %"), ("Brier", "score")]
    return ReportTable(heads, lines, words=4) if lines else None


def diagram(ours: Sequence[Reliability], colors: dict[str, int], *, name: str) -> tuple[str, ReportTable]:
    """A reliability diagram: the share of right answers against confidence, beside where they are equal.

    Args:
        ours: at least one; with more than seven curves only those of single draws are drawn.
        colors: the number of each network's color.
        name: what the figure is, for those who do not see it.
    """
    drawn = [one for one in ours if one.deployment in ("any", "single")] if len(ours) > MOST else ours
    equal = Curve("as sure as right", [CurvePoint(0, 0), CurvePoint(100, 100)], GRAY, dashed=True)
    curves = [_curve(one, colors[one.claim.network]) for one in drawn or ours]
    across = "confidence, %"
    svg = draw_curves([*curves, equal], name=name, across=across, up="right answers, %", log=False, ticks=TICKS)
    heads: list[Head] = [("network",), ("confidence", "mean of the bin, %"), ("right, %",), ("examples",)]
    lines = [_bin_line(one.label, part) for one in ours for part in one.found.bins]
    return svg, ReportTable(heads, lines)


def _claims(records: Records) -> list[Claim]:
    networks = dict.fromkeys(claim.network for claim in single.judged(records, "table"))
    wanted = [(name, budget) for name in networks for budget in [None, *single.budgets(records, name)[:1]]]
    found = [single.strongest(records, name, budget) for name, budget in wanted]
    return [claim for claim in found if claim is not None]


def _of(records: Records, claim: Claim) -> list[Reliability]:
    sources = dict.fromkeys(Deployment.parse(word).source for word in deployments_of(records, claim))
    if claim.verdict_draws == 1:
        found = calibration_of(records, claim, next(iter(sources)))
        return [Reliability(claim, "any", found)] if found is not None else []
    known = {source: calibration_of(records, claim, source) for source in sources}
    return [Reliability(claim, source, found) for source, found in known.items() if found is not None]


def _curve(one: Reliability, color: int) -> Curve:
    points = [CurvePoint(100 * b.confidence, 100 * b.accuracy, 100 * b.low, 100 * b.high) for b in one.found.bins]
    return Curve(one.label, points, color, dashed=one.deployment not in ("any", "single"))


def _bin_line(label: str, part: Bin) -> list[TableCell]:
    sure = TableCell(f"{100 * part.confidence:.1f}", value=part.confidence)
    return [TableCell(label), sure, rate_cell(part.accuracy, part.low, part.high), count_cell(part.examples)]
