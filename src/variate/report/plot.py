"""Draw curves with intervals as SVG text, without a plotting library; tooltips show the numbers.

Colors are CSS custom properties of the page with a fallback, so a figure saved by itself keeps its light-theme colors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from variate.statistics.notation import percent, percent_interval

COLORS = ("#0072b2", "#c44f00", "#00785a", "#b0468a", "#8a6100", "#5b4bb7", "#57606a")  # Okabe & Ito, darkened
WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 42.0
LINE = 18.0  # height of a legend line
FEW, SHORT = 6, 28  # more than FEW entries, none longer than SHORT characters: two columns
ROOM = 36.0  # least distance between tick labels
FONT = 'font-family="system-ui, sans-serif" font-size="12.5"'
Coordinate = Callable[[float], float]  # from data to SVG coordinates


@dataclass(frozen=True)
class CurvePoint:
    """A rate in percent with its interval, at ``x``."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{percent(self.y / 100)} %"
        return f"{percent(self.y / 100)} {percent_interval(self.low / 100, self.high / 100)} %"


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        label: label in the legend.
        points: points by increasing ``x``.
        color: index of its color and marker shape.
        dashed: whether its line is dashed.
    """

    label: str
    points: Sequence[CurvePoint]
    color: int
    dashed: bool = False


def draw_curves(curves: Sequence[Curve], *, name: str, across: str, up: str, log: bool, ticks: Sequence[float]) -> str:
    """Plot percentages against a number.

    Args:
        curves: one or more curves.
        name: accessible name of the figure.
        across: label of the horizontal axis.
        up: label of the vertical axis (percent).
        log: whether the horizontal axis is logarithmic; all ``x`` must then be positive.
        ticks: ticks of the horizontal axis.
    """
    scale: Callable[[float], float] = math.log if log else float
    scaled = [scale(x) for x in (*ticks, *(point.x for curve in curves for point in curve.points))]
    start, end = min(scaled), max(scaled)
    width = WIDTH - LEFT - RIGHT - 16

    def x_at(value: float) -> float:
        return LEFT + 8 + width * ((scale(value) - start) / (end - start) if end > start else 0.5)

    def y_at(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / 100)

    parts = [*_levels(y_at), *_ticks(ticks, x_at), _titles(across, up)]
    shade = min(0.13, 0.8 / len(curves))
    parts += [_curve(curve, x_at, y_at, shade) for curve in curves]
    names, height = legend([(curve.label, curve.color, curve.dashed) for curve in curves], HEIGHT)
    return svg([*parts, names], name=name, height=height)


def svg(parts: Sequence[str], *, name: str, height: float) -> str:
    """Wrap the parts of a figure in an ``svg`` element."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
    return f'{head}aria-label="{escape(name)}" {FONT} fill="currentColor">{"".join(parts)}</svg>'


def colored(color: int, inside: str) -> str:
    """Wrap a part of a figure in one of the page's colors."""
    index = color % len(COLORS)
    return f'<g style="color:var(--series-{index},{COLORS[index]})">{inside}</g>'


def legend(entries: Sequence[tuple[str, int, bool]], top: float) -> tuple[str, float]:
    """Draw the legend, in two columns if there are many short entries. Returns its SVG and its bottom edge.

    Args:
        entries: label, index of the color, whether it is dashed.
        top: top edge.
    """
    columns = 2 if len(entries) > FEW and max(len(label) for label, _, _ in entries) <= SHORT else 1
    rows = math.ceil(len(entries) / columns)
    parts = []
    for i, (label, color, dashed) in enumerate(entries):
        x, y = LEFT + (WIDTH - LEFT) / 2 * (i // rows), top + LINE * (i % rows) + 6
        parts += [
            colored(color, _stroke(f"M{x:g} {y:g}h26", dashed) + mark(x + 13, y, color)),
            text(x + 34, y + 4, label),
        ]
    return "".join(parts), top + LINE * rows + 4


def text(x: float, y: float, words: str, *, anchor: str = "start", turned: bool = False) -> str:
    """Text at (x, y)."""
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def rule(path: str) -> str:
    """A thin grid line."""
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".18" fill="none"/>'


def with_tooltip(words: str, inside: str) -> str:
    """Add a tooltip to a part of a figure."""
    return f'<g class="tooltip"><title>{escape(words)}</title>{inside}</g>'


def mark(x: float, y: float, color: int) -> str:
    """A marker; its shape goes with its color, so curves can be told apart without color."""
    shapes = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "m-3.6 -3.6h7.2v7.2h-7.2z",
        "m0 -5l4.6 8.4h-9.2z",
        "m0 -5l5 5l-5 5l-5 -5z",
        "m0 5l4.6 -8.4h-9.2z",
    )
    return f'<path d="M{x:.1f} {y:.1f}{shapes[color % len(shapes)]}"/>'


def nice_ticks(values: Sequence[float], most: int = 8) -> list[float]:
    """At most ``most`` of the values: all of them, or every n-th."""
    distinct = sorted(set(values))
    return distinct[:: max(1, math.ceil(len(distinct) / most))]


def _levels(y_at: Coordinate) -> list[str]:
    parts = []
    for level in range(0, 101, 20):
        parts += [rule(f"M{LEFT:g} {y_at(level):.1f}H{WIDTH - RIGHT:g}")]
        parts += [text(LEFT - 6, y_at(level) + 4, str(level), anchor="end")]
    return parts


def _ticks(ticks: Sequence[float], x_at: Coordinate) -> list[str]:
    """A grid line per tick, with a label where there is room."""
    bottom, last, parts = HEIGHT - BOTTOM, -math.inf, []
    for tick in ticks:
        x = x_at(tick)
        parts.append(rule(f"M{x:.1f} {TOP:g}V{bottom + 4:g}"))
        if x - last > ROOM:
            parts.append(text(x, bottom + 17, f"{tick:g}", anchor="middle"))
            last = x
    return parts


def _titles(across: str, up: str) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    height = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return text(middle, HEIGHT - 9, across, anchor="middle") + text(12, height, up, anchor="middle", turned=True)


def _curve(curve: Curve, x_at: Coordinate, y_at: Coordinate, shade: float) -> str:
    path = "M" + "L".join(f"{x_at(p.x):.1f} {y_at(p.y):.1f}" for p in curve.points)
    ends = [(p.x, p.low, p.high) for p in curve.points if p.low is not None and p.high is not None]
    parts = []
    if len(ends) > 1:
        above = [f"{x_at(x):.1f} {y_at(high):.1f}" for x, _, high in ends]
        below = [f"{x_at(x):.1f} {y_at(low):.1f}" for x, low, _ in reversed(ends)]
        parts.append(f'<path d="M{"L".join(above + below)}Z" fill="currentColor" fill-opacity="{shade:.2g}"/>')
    parts.append(_stroke(path, curve.dashed))
    for point in curve.points:
        x, y = x_at(point.x), y_at(point.y)
        target = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill-opacity="0"/>'
        parts.append(with_tooltip(f"{curve.label}\n{point} at {point.x:g}", mark(x, y, curve.color) + target))
    return colored(curve.color, "".join(parts))


def _stroke(path: str, dashed: bool) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="2"{dashes}/>'
