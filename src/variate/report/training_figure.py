"""Figures of training: robust and clean accuracy against epochs, on validation and training examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from variate.records.curve import CurveSplit, EpochAccuracy, points_of, rise_of
from variate.records.measure import Measure
from variate.records.schema import NetworkLine
from variate.report.plot import Curve, CurvePoint, draw_curves, nice_ticks
from variate.report.sheet import NOTHING, Head, ReportTable, TableCell
from variate.statistics.notation import percent, points

SPLITS: dict[CurveSplit, str] = {"validation": "validation", "train": "training"}
RATES: dict[str, Callable[[EpochAccuracy], float]] = {
    "robust": lambda point: point.robust_accuracy,
    "clean": lambda point: point.clean,
}


def training_curves(
    networks: Sequence[NetworkLine], colors: Mapping[str, int], *, rate: str, name: str, measure: Measure
) -> tuple[str, ReportTable]:
    """One line per network and split, training examples dashed; the numbers at the end, with the last rise.

    Args:
        networks: networks with a curve.
        colors: index of each network's color.
        rate: ``robust`` or ``clean``.
        name: accessible name of the figure.
        measure: what a rate measures.
    """
    value = RATES[rate]
    curves, lines = [], []
    for network in networks:
        for split, word in SPLITS.items():
            ours = points_of(network.curve, split)
            if not ours:
                continue
            shown = [CurvePoint(point.epoch, 100 * value(point)) for point in ours]
            label = f"{network.network}, {word}"
            curves.append(Curve(label, shown, colors[network.network], dashed=split == "train"))
            best = max(ours, key=value)
            cells = [TableCell(str(point.epoch), percent(value(point)), value(point)) for point in (best, ours[-1])]
            counts = [TableCell(str(n), value=n) for n in (len(ours), ours[-1].examples)]
            rise = [_rise(network, split)] if rate == "robust" else []
            lines.append([TableCell(network.network), TableCell(word), *cells, *rise, *counts])
    epochs = [point.x for curve in curves for point in curve.points]
    drawn = draw_curves(
        curves, name=name, across="epochs", up=f"{measure.noun}, %", log=False, ticks=nice_ticks(epochs)
    )
    percentage = f"{measure.column}, %"
    heads: list[Head] = [("network",), ("split",), ("best epoch", percentage), ("last epoch", percentage)]
    heads += [("last quarter", "rise, points")] if rate == "robust" else []
    return drawn, ReportTable([*heads, ("points",), ("n", "examples")], lines, words=2)


def _rise(network: NetworkLine, split: CurveSplit) -> TableCell:
    """How much the robust accuracy still rose at the end, with its standard error."""
    rise = rise_of(network.curve, split)
    return NOTHING if rise is None else TableCell(points(rise.value), f"± {percent(rise.error)}", rise.value)
