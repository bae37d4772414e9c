"""Figures computed from records; each is omitted if the records lack its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from variate.inputs.budget import Budget
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.groups import fingerprint_of
from variate.records.measure import ACCURACY
from variate.records.rows import CLEAN, RateRow
from variate.report import series, single
from variate.report.plot import Curve, CurvePoint, draw_curves, nice_ticks
from variate.report.reliability import Reliability, diagram, reliabilities
from variate.report.scale_figure import learned_scales
from variate.report.selective import coverage_diagram
from variate.report.sheet import Head, ReportTable, TableCell, rate_cell
from variate.report.single import measured
from variate.report.table import titled
from variate.report.training_figure import training_curves
from variate.statistics.notation import percent
from variate.statistics.rates import survive_curve

REPETITIONS = (1, 2, 5, 10, 20, 50, 100)  # ticks of the axis of N
POINTS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 50, 70, 100)  # points of the curve, evenly spaced in log N


@dataclass(frozen=True)
class Figure:
    """A figure with its caption and its numbers.

    Attributes:
        id: its anchor and file name.
        title, text: heading and caption.
        svg: the drawing.
        numbers: the same data as a table.
    """

    id: str
    title: str
    text: str
    svg: str
    numbers: ReportTable


def figures(records: Records) -> list[Figure]:
    """Every figure that the records allow, except those of calibration and coverage."""
    drawn = [*against_size(records), against_draws(records), against_steps(records), against_queries(records)]
    drawn += [survival(records), scales(records), *against_epochs(records)]
    return [figure for figure in drawn if figure is not None]


def against_size(records: Records) -> list[Figure]:
    """Accuracy against the size of the budget, one figure per norm."""
    curves = series.series(records, series.size, fewest=3, part="sizes")
    drawn = []
    for norm in dict.fromkeys(map(_norm, curves)):
        ours = [curve for curve in curves if _norm(curve) == norm]
        text = (
            f"{_settings(ours)}. A curve that does not fall to zero as the budget grows points to a weak attack, not "
            "to a robust network."
        )
        title = f"Accuracy against the size of the budget, {norm}"
        drawn.append(_figure(records, ours, (f"accuracy-size-{norm}", title, text), f"eps ({norm})"))
    return [figure for figure in drawn if figure is not None]


def against_draws(records: Records) -> Figure | None:
    """Accuracy against the number of draws that each query of the attack averages over."""
    text = (
        "While a curve still falls, the attack does not average over enough draws. Dashed: accuracy on the search's "
        "own draws while the number of draws was chosen; this is not a verdict."
    )
    ours = series.series(records, series.draws, fewest=3, part="draws")
    names = (
        "accuracy-draws",
        "Accuracy against the number of attack draws",
        f"{f'{_settings(ours)}. ' if ours else ''}{text}",
    )
    search = [
        Curve(
            f"{line.network}, {line.attack}, search",
            [CurvePoint(n, 100 * share) for n, share in zip(line.draws, line.accuracy, strict=True)],
            _color(records, line.network),
            dashed=True,
        )
        for line in records.convergences
        if len(line.draws) > 1 and line.fingerprint == fingerprint_of(records, line.network)
    ]
    return _figure(records, ours, names, "draws per step of the attack", log=True, more=search)


def against_steps(records: Records) -> Figure | None:
    """Accuracy against the number of steps of an attack."""
    ours = series.series(records, series.steps, fewest=2)
    text = f"{_settings(ours)}. While a curve still falls, the attack stops too early."
    names = ("accuracy-steps", "Accuracy against the steps of the attack", text)
    return _figure(records, ours, names, "steps", log=True)


def against_queries(records: Records) -> Figure | None:
    """Accuracy against the number of queries that an attack may use."""
    ours = series.series(records, series.queries, fewest=2)
    text = f"{_settings(ours)}. While a curve still falls, the attacker had too few queries."
    names = ("accuracy-queries", "Accuracy against the queries of the attack", text)
    return _figure(records, ours, names, "queries", log=True)


def survival(records: Records) -> Figure | None:
    """How often N answers to the same input are all correct, with and without attack; None without random networks."""
    curves, lines = [], []
    for network in [name for name in _networks(records) if _clean_and_worst(records, name)]:
        for claim in _clean_and_worst(records, network):
            rates = survive_curve(single.bits(records, claim), POINTS)
            points = [CurvePoint(n, 100 * r.rate, 100 * r.low, 100 * r.high) for n, r in rates.items()]
            label = f"{network}, {claim.attack}"
            clean = claim.attack == CLEAN
            shown = [CurvePoint(p.x, p.y) for p in points] if clean else points
            curves.append(Curve(label, shown, _color(records, network), dashed=clean))
            lines.append([TableCell(label), *(_point_cell(p) for p in points if p.x in REPETITIONS)])
    if not curves:
        return None
    ticks = [n for n in REPETITIONS if n <= max(point.x for curve in curves for point in curve.points)]
    heads: list[Head] = [("network and attack",), *((f"N = {n}",) for n in ticks)]
    measure = measured(records)
    title = titled("Accuracy against the number of repeated queries", measure.noun)
    least, up = "How often all answers are correct", "all N correct, %"
    if measure != ACCURACY:
        least, up = "The least of N scores", f"{measure.noun}, worst of N, %"
    text = (
        f"{least} when the attacker submits the same input N times. Solid: under the "
        "strongest attack, with the 95 % interval; dashed: without attack. If the dashed curve falls too, the network "
        "also makes errors without any attack."
    )
    across = "answers to the same input, N"
    svg = draw_curves(curves, name=title, across=across, up=up, log=True, ticks=ticks)
    return Figure("survival", title, text, svg, ReportTable(heads, _padded(lines, len(heads))))


def scales(records: Records) -> Figure | None:
    """The learned scale of the noise of every parameter."""
    colors = {name: _color(records, name) for name in dict.fromkeys(scale.network for scale in records.scales)}
    if not colors:
        return None
    title = "Learned scales"
    text = (
        "Noise of every parameter tensor relative to the size of the tensor. Mark: root mean square; line: range over "
        "elements. Where scales are near zero, the network is practically deterministic."
    )
    svg, numbers = learned_scales(records.scales, colors, name=title)
    return Figure("scales", title, text, svg, numbers)


def against_epochs(records: Records) -> list[Figure]:
    """Robust and clean accuracy during training, of the networks whose training was measured."""
    networks = [line for line in records.networks.values() if line.curve]
    if not networks:
        return []
    colors = {line.network: _color(records, line.network) for line in networks}
    texts = {
        "robust": "Under a short attack on the same examples at every epoch; it shows whether training was finished, "
        "and is not a verdict. While the validation curve still rises, the network was not trained to the end. The "
        "rise is that of the fitted line over the last quarter of the epochs, with its standard error.",
        "clean": "Without attack, on the same examples.",
    }
    drawn, measure = [], measured(records)
    for rate, text in texts.items():
        title = f"{rate.capitalize()} {measure.noun} against epochs"
        svg, numbers = training_curves(networks, colors, rate=rate, name=title, measure=measure)
        drawn.append(Figure(f"training-{rate}", title, f"{text} Dashed: training examples.", svg, numbers))
    return drawn


def reliability(records: Records) -> list[Figure]:
    """A reliability diagram for each network, without and under attack; none without confidences."""
    return _by_network(records, "reliability", "Reliability of", diagram)


def coverage(records: Records) -> list[Figure]:
    """Accuracy against coverage for each network, without and under attack; none without confidences."""
    return _by_network(records, "coverage", "Accuracy against coverage of", coverage_diagram)


def _by_network(records: Records, kind: str, words: str, draw: Callable[..., tuple[str, ReportTable]]) -> list[Figure]:
    """A figure of what confidences say for each network."""
    by_network: dict[str, list[Reliability]] = {}
    for curve in reliabilities(records):
        by_network.setdefault(curve.claim.network, []).append(curve)
    drawn = []
    for number, (network, curves) in enumerate(by_network.items(), start=1):
        title = f"{words} {network}"
        drawn.append(Figure(f"{kind}-{number}", title, "", *draw(curves, name=title)))
    return drawn


def _figure(
    records: Records,
    ours: Sequence[series.Series],
    names: tuple[str, str, str],
    across: str,
    *,
    log: bool = False,
    more: Sequence[Curve] = (),
) -> Figure | None:
    """A figure of series and further curves, with a table of the numbers; None without curves."""
    curves = [*_curves(records, ours), *more]
    if not curves:
        return None
    values = sorted({point.x for curve in curves for point in curve.points})
    identifier, title, text = names
    noun = measured(records).noun
    title = titled(title, noun)
    svg = draw_curves(curves, name=title, across=across, up=f"{noun}, %", log=log, ticks=nice_ticks(values))
    heads: list[Head] = [("network",), *((f"{value:g}",) for value in values)]
    lines = []
    for curve in curves:
        points = {point.x: point for point in curve.points}
        lines.append([TableCell(curve.label), *(_point_cell(points.get(value)) for value in values)])
    return Figure(identifier, title, text, svg, ReportTable(heads, lines))


def _curves(records: Records, ours: Sequence[series.Series]) -> list[Curve]:
    """One curve per series; labels name the attack only if it is not the same for all."""
    same = len({line.attack for line in ours}) == 1
    return [
        Curve(
            line.network if same else f"{line.network}, {line.attack}",
            [_point(x, row) for x, row in line.rows.items()],
            _color(records, line.network),
        )
        for line in ours
    ]


def _settings(ours: Sequence[series.Series]) -> str:
    """The attacks and settings of the curves, in words."""
    settings: dict[str, dict[str, None]] = {}
    for line in ours:
        settings.setdefault(line.attack, {}).update(dict.fromkeys(filter(None, line.setting.split(", "))))
    examples = sorted({row.examples for line in ours for row in line.rows.values()})
    attacks = "; ".join(f"{name} ({', '.join(words)})" if words else name for name, words in settings.items())
    return (
        f"{attacks}, on {' or '.join(map(str, examples))} examples, one draw per query; shaded: 95 % intervals"
        if attacks
        else ""
    )


def _point(x: float, row: RateRow) -> CurvePoint:
    return CurvePoint(x, 100 * row.rate, 100 * row.low, 100 * row.high)


def _point_cell(point: CurvePoint | None) -> TableCell:
    if point is None:
        return TableCell("-")
    if point.low is None or point.high is None:
        return TableCell(percent(point.y / 100), value=point.y)
    return rate_cell(point.y / 100, point.low / 100, point.high / 100)


def _padded(lines: Sequence[list[TableCell]], width: int) -> list[list[TableCell]]:
    return [line + [TableCell("-")] * (width - len(line)) for line in lines]


def _norm(line: series.Series) -> str:
    return Budget.parse(next(iter(line.rows.values())).budget or "").norm


def _networks(records: Records) -> list[str]:
    return list(dict.fromkeys([*records.networks, *(claim.network for claim in records.claims.values())]))


def _color(records: Records, network: str) -> int:
    """Index of a network's color, the same in every figure."""
    return _networks(records).index(network)


def _clean_and_worst(records: Records, network: str) -> list[Claim]:
    """The clean claim of a random network, and the claim of the strongest attack in the table."""
    claims = [c for c in single.judged(records, "table") if c.network == network and c.verdict_draws > 1]
    attacked = [claim for claim in claims if claim.attack != CLEAN]
    if not attacked:
        return []
    worst = min(attacked, key=lambda claim: single.share(records, claim))
    clean = [
        claim for claim in claims if claim.attack == CLEAN and (claim.inputs, claim.task) == (worst.inputs, worst.task)
    ]
    return [*clean[:1], worst]
