"""Selective accuracy: a table of the areas under risk-coverage curves, and a figure for each network."""

from __future__ import annotations

from collections.abc import Sequence

from variate.records.file import Records
from variate.report import single
from variate.report.plot import Curve, CurvePoint, draw_curves
from variate.report.reliability import TICKS, Reliability, drawable, reliabilities
from variate.report.sheet import Head, ReportTable, TableCell, count_cell, rate_cell
from variate.statistics.selective import CoveragePoint

HEADS: list[Head] = [("network",), ("deployment",), ("attack",), ("budget",), ("n", "examples")]


def selective_sheet(records: Records) -> ReportTable | None:
    """The area under the risk-coverage curve of every network and deployment; None without confidences."""
    rows = [_row(line) for line in reliabilities(records)]
    heads: list[Head] = [*HEADS, ("errors, %",), ("AURC, %",), ("at best", "AURC, %")]
    return ReportTable(heads, rows, words=4) if rows else None


def coverage_diagram(ours: Sequence[Reliability], *, name: str) -> tuple[str, ReportTable]:
    """Accuracy against coverage of one network, without and under attack, and the numbers.

    Args:
        ours: one or more of its deployments; if there are more than seven, only single-draw deployments are drawn.
        name: accessible name of the figure.
    """
    curves = [
        Curve(line.label, [_drawn(point) for point in line.selective.points], line.color, dashed=line.dashed)
        for line in drawable(ours)
    ]
    svg = draw_curves(curves, name=name, across="coverage, %", up="accuracy, %", log=False, ticks=TICKS)
    heads: list[Head] = [("condition",), ("coverage, %",), ("accuracy, %",), ("n", "answers")]
    rows = [_numbers(line.label, point) for line in ours for point in line.selective.points]
    return svg, ReportTable(heads, rows)


def _row(line: Reliability) -> list[TableCell]:
    own = line.selective
    words = [line.claim.network, line.deployment, single.attack_words(line.claim), line.claim.budget or "none"]
    errors, best = (TableCell(f"{100 * value:.1f}", value=value) for value in (own.errors, own.best))
    area = rate_cell(own.area, own.low, own.high)
    return [*map(TableCell, words), count_cell(own.examples), errors, area, best]


def _drawn(point: CoveragePoint) -> CurvePoint:
    return CurvePoint(100 * point.coverage, 100 * point.accuracy, 100 * point.low, 100 * point.high)


def _numbers(label: str, point: CoveragePoint) -> list[TableCell]:
    coverage = TableCell(f"{100 * point.coverage:.1f}", value=point.coverage)
    return [TableCell(label), coverage, rate_cell(point.accuracy, point.low, point.high), count_cell(point.examples)]
