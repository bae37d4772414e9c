"""Figures from records: each only where the records hold what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from variate.inputs.budget import Budget
from variate.records.file import Records
from variate.records.groups import fingerprint_of
from variate.records.rows import CLEAN, RateRow
from variate.records.schema import Claim
from variate.report import series, single
from variate.report.plot import Curve, CurvePoint, draw_curves, nice_ticks
from variate.report.reliability import diagram, reliabilities
from variate.report.scale_figure import learned_scales
from variate.report.sheet import Head, ReportTable, TableCell
from variate.statistics.rates import survive_curve

UP = "right answers, %"
QUESTIONS = (1, 2, 5, 10, 20, 50, 100)  # numbers that stand below the axis
ASKED = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 50, 70, 100)  # points of the curve, even on a logarithmic axis


@dataclass(frozen=True)
class Figure:
    """A figure, what it means, and its numbers.

    Attributes:
        id: its name in addresses and files.
        title, text: what stands above and below it.
        svg: the drawing.
        numbers: the same in a table.
    """

    id: str
    title: str
    text: str
    svg: str
    numbers: ReportTable


def figures(records: Records) -> list[Figure]:
    """Every figure that the records can give, but for those of calibration."""
    found = [*against_size(records), against_draws(records), against_steps(records), against_queries(records)]
    found += [survival(records), scales(records)]
    return [figure for figure in found if figure is not None]


def against_size(records: Records) -> list[Figure]:
    """Accuracy against the budget's size, a figure for each norm."""
    every = series.series(records, series.size, fewest=3, part="sizes")
    drawn = []
    for norm in dict.fromkeys(_norm(one) for one in every):
        ours = [one for one in every if _norm(one) == norm]
        text = (
            f"{_under(ours)}. A curve that does not fall to zero with a large budget is a weak attack, not a strong "
            "network."
        )
        title = f"Accuracy against the size of the budget, {norm}"
        drawn.append(_figure(records, ours, (f"accuracy-size-{norm}", title, text), f"eps ({norm})"))
    return [figure for figure in drawn if figure is not None]


def against_draws(records: Records) -> Figure | None:
    """Accuracy against the draws that each query of the attack averaged over."""
    text = (
        "While a curve still falls, the attack has not averaged enough. Dashed, where the number was chosen so: what "
        "is left over the search's own draws, which is no verdict."
    )
    ours = series.series(records, series.draws, fewest=3, part="draws")
    names = (
        "accuracy-draws",
        "Accuracy against the number of attack draws",
        f"{f'{_under(ours)}. ' if ours else ''}{text}",
    )
    climbed = [
        Curve(
            f"{line.network}, {line.attack}, search",
            [CurvePoint(n, 100 * share) for n, share in zip(line.draws, line.accuracy, strict=True)],
            _color(records, line.network),
            dashed=True,
        )
        for line in records.convergences
        if len(line.draws) > 1 and line.fingerprint == fingerprint_of(records, line.network)
    ]
    return _figure(records, ours, names, "draws averaged in each step of the attack", log=True, more=climbed)


def against_steps(records: Records) -> Figure | None:
    """Accuracy against the steps of an attack."""
    ours = series.series(records, series.steps, fewest=2)
    text = f"{_under(ours)}. While a curve still falls, the attack was stopped too early."
    names = ("accuracy-steps", "Accuracy against the steps of the attack", text)
    return _figure(records, ours, names, "steps", log=True)


def against_queries(records: Records) -> Figure | None:
    """Accuracy against the queries that an attack may ask."""
    ours = series.series(records, series.queries, fewest=2)
    text = f"{_under(ours)}. While a curve still falls, the attacker had too few queries."
    names = ("accuracy-queries", "Accuracy against the queries of the attack", text)
    return _figure(records, ours, names, "queries", log=True)


def survival(records: Records) -> Figure | None:
    """How often N answers to one input are all right, with and without attack; None without a random network."""
    curves, lines = [], []
    for network in [name for name in _networks(records) if _least(records, name)]:
        for claim in _least(records, network):
            rates = survive_curve(single.bits(records, claim), ASKED)
            points = [CurvePoint(n, 100 * r.rate, 100 * r.low, 100 * r.high) for n, r in rates.items()]
            label = f"{network}, {claim.attack}"
            clean = claim.attack == CLEAN
            shown = [CurvePoint(p.x, p.y) for p in points] if clean else points
            curves.append(Curve(label, shown, _color(records, network), dashed=clean))
            lines.append([TableCell(label), *(_point_cell(p) for p in points if p.x in QUESTIONS)])
    if not curves:
        return None
    ticks = [n for n in QUESTIONS if n <= max(point.x for curve in curves for point in curve.points)]
    heads: list[Head] = [("network and attack",), *((f"N = {n}",) for n in ticks)]
    title = "Accuracy against the number of questions"
    text = (
        "How often all answers to the same input are right when an attacker asks N times: solid under the attack that "
        "leaves the least, with its 95 % interval; dashed without attack. Where the dashed curve falls as well, the "
        "network errs by itself."
    )
    across = "answers to the same input, N"
    svg = draw_curves(curves, name=title, across=across, up="all N right, %", log=True, ticks=ticks)
    return Figure("survival", title, text, svg, ReportTable(heads, _padded(lines, len(heads))))


def scales(records: Records) -> Figure | None:
    """The learned noise of every parameter."""
    colors = {name: _color(records, name) for name in dict.fromkeys(scale.network for scale in records.scales)}
    if not colors:
        return None
    title = "Learned scales"
    text = (
        "How noisy every parameter tensor is, relative to its own size. Mark: root mean square; line: range over its "
        "elements. Scales near zero are no randomness."
    )
    svg, numbers = learned_scales(records.scales, colors, name=title)
    return Figure("scales", title, text, svg, numbers)


def reliability(records: Records) -> list[Figure]:
    """Reliability diagrams, without and under attack; none without confidences."""
    every = reliabilities(records)
    colors = {name: _color(records, name) for name in dict.fromkeys(one.claim.network for one in every)}
    text = (
        "How often answers are right against how sure the network was of them, in bins of equal numbers of examples "
        "with exact 95 % intervals. Below the broken line it is surer than it should be."
    )
    found = []
    for end, said, ours in (
        ("clean", "without attack", [one for one in every if one.clean]),
        ("attacked", "under the attack that leaves the least", [one for one in every if not one.clean]),
    ):
        if ours:
            title = f"Reliability {said}"
            svg, numbers = diagram(ours, colors, name=title)
            found.append(Figure(f"reliability-{end}", title, text, svg, numbers))
    return found


def _figure(
    records: Records,
    ours: Sequence[series.Series],
    names: tuple[str, str, str],
    across: str,
    *,
    log: bool = False,
    more: Sequence[Curve] = (),
) -> Figure | None:
    """Curves of series, with their numbers beside them."""
    curves = [*_curves(records, ours), *more]
    if not curves:
        return None
    values = sorted({point.x for curve in curves for point in curve.points})
    identifier, title, text = names
    svg = draw_curves(curves, name=title, across=across, up=UP, log=log, ticks=nice_ticks(values))
    heads: list[Head] = [("network",), *((f"{value:g}",) for value in values)]
    lines = []
    for curve in curves:
        known = {point.x: point for point in curve.points}
        lines.append([TableCell(curve.label), *(_point_cell(known.get(value)) for value in values)])
    return Figure(identifier, title, text, svg, ReportTable(heads, lines))


def _curves(records: Records, ours: Sequence[series.Series]) -> list[Curve]:
    """One curve each; the legend says the attack only where it is not the same for all."""
    same = len({one.attack for one in ours}) == 1
    return [
        Curve(
            one.network if same else f"{one.network}, {one.attack}",
            [_point(x, row) for x, row in one.rows.items()],
            _color(records, one.network),
        )
        for one in ours
    ]


def _under(ours: Sequence[series.Series]) -> str:
    """Which attacks the curves are of."""
    said: dict[str, dict[str, None]] = {}
    for one in ours:
        said.setdefault(one.attack, {}).update(dict.fromkeys(filter(None, one.setting.split(", "))))
    examples = sorted({row.examples for one in ours for row in one.rows.values()})
    attacks = "; ".join(f"{name} ({', '.join(words)})" if words else name for name, words in said.items())
    return (
        f"{attacks}, on {' or '.join(map(str, examples))} examples, judged one draw per query; shaded: 95 % intervals"
        if attacks
        else ""
    )


def _point(x: float, row: RateRow) -> CurvePoint:
    return CurvePoint(x, 100 * row.rate, 100 * row.low, 100 * row.high)


def _point_cell(point: CurvePoint | None) -> TableCell:
    if point is None:
        return TableCell("-")
    ends = "" if point.low is None or point.high is None else f"{point.low:.1f} to {point.high:.1f}"
    return TableCell(f"{point.y:.1f}", ends, point.y)


def _padded(lines: Sequence[list[TableCell]], width: int) -> list[list[TableCell]]:
    return [line + [TableCell("-")] * (width - len(line)) for line in lines]


def _norm(one: series.Series) -> str:
    return Budget.parse(next(iter(one.rows.values())).budget or "").norm


def _networks(records: Records) -> list[str]:
    return list(dict.fromkeys([*records.networks, *(claim.network for claim in records.claims.values())]))


def _color(records: Records, network: str) -> int:
    """A network's color, the same in every figure."""
    return _networks(records).index(network)


def _least(records: Records, network: str) -> list[Claim]:
    """The clean claim of a random network, and that of the attack in the table that leaves the fewest right."""
    claims = [c for c in single.judged(records, "table") if c.network == network and c.verdict_draws > 1]
    attacked = [claim for claim in claims if claim.attack != CLEAN]
    if not attacked:
        return []
    worst = min(attacked, key=lambda claim: single.share(records, claim))
    clean = [claim for claim in claims if claim.attack == CLEAN and claim.inputs == worst.inputs]
    return [*clean[:1], worst]
