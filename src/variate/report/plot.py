"""Curves with intervals as SVG text: no library, colors that follow the page, the numbers under the pointer.

Colors are custom properties of the page with a fallback, so that a figure saved by itself looks as it did in the light.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLORS = ("#0072b2", "#c44f00", "#00785a", "#b0468a", "#8a6100", "#5b4bb7", "#57606a")  # after Okabe & Ito, darker
WIDTH, HEIGHT = 480.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 42.0
LINE = 18.0  # height of a line of the legend
FEW, SHORT = 6, 28  # a legend has two columns where it has more lines than that, none of more letters
ROOM = 36.0  # between the middles of two numbers
FONT = 'font-family="system-ui, sans-serif" font-size="12.5"'
Place = Callable[[float], float]


@dataclass(frozen=True)
class CurvePoint:
    """A rate in percent with its interval, at ``x``."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        ends = "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.y:.1f}{ends} %"


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        label: its name in the legend.
        points: by growing ``x``.
        color: number of its color and of the form of its points.
        dashed: whether its line is broken.
    """

    label: str
    points: Sequence[CurvePoint]
    color: int
    dashed: bool = False


def draw_curves(curves: Sequence[Curve], *, name: str, across: str, up: str, log: bool, ticks: Sequence[float]) -> str:
    """Percentages against a number.

    Args:
        curves: at least one.
        name: what the figure is, for those who do not see it.
        across: what the axis of numbers is.
        up: what the axis of percentages is.
        log: whether the number's axis is logarithmic; all ``x`` are then positive.
        ticks: numbers that stand below the axis.
    """
    scale: Callable[[float], float] = math.log if log else float
    every = [scale(x) for x in (*ticks, *(point.x for curve in curves for point in curve.points))]
    start, end = min(every), max(every)
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
    """Parts of a figure as one element."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
    return f'{head}aria-label="{escape(name)}" {FONT} fill="currentColor">{"".join(parts)}</svg>'


def colored(color: int, inside: str) -> str:
    """A part of a figure in one of the page's colors."""
    number = color % len(COLORS)
    return f'<g style="color:var(--series-{number},{COLORS[number]})">{inside}</g>'


def legend(entries: Sequence[tuple[str, int, bool]], top: float) -> tuple[str, float]:
    """A piece of every curve and its name, in two columns where there are many and they fit, and the end of it.

    Args:
        entries: label, number of the color, whether it is dashed.
        top: where it begins.
    """
    columns = 2 if len(entries) > FEW and max(len(label) for label, _, _ in entries) <= SHORT else 1
    rows = math.ceil(len(entries) / columns)
    parts = []
    for number, (label, color, dashed) in enumerate(entries):
        x, y = LEFT + (WIDTH - LEFT) / 2 * (number // rows), top + LINE * (number % rows) + 6
        parts += [
            colored(color, _stroke(f"M{x:g} {y:g}h26", dashed) + mark(x + 13, y, color)),
            text(x + 34, y + 4, label),
        ]
    return "".join(parts), top + LINE * rows + 4


def text(x: float, y: float, words: str, *, anchor: str = "start", turned: bool = False) -> str:
    """Words at a place."""
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return f'<text x="{x:.4g}" y="{y:.4g}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def rule(path: str) -> str:
    """A thin line of the grid."""
    return f'<path d="{path}" stroke="currentColor" stroke-opacity=".18" fill="none"/>'


def told(words: str, inside: str) -> str:
    """A part of a figure that says ``words`` under the pointer."""
    return f'<g class="told"><title>{escape(words)}</title>{inside}</g>'


def mark(x: float, y: float, color: int) -> str:
    """A point: form and color go together, so that either is enough to tell curves apart."""
    forms = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "m-3.6 -3.6h7.2v7.2h-7.2z",
        "m0 -5l4.6 8.4h-9.2z",
        "m0 -5l5 5l-5 5l-5 -5z",
        "m0 5l4.6 -8.4h-9.2z",
    )
    return f'<path d="M{x:.1f} {y:.1f}{forms[color % len(forms)]}"/>'


def nice_ticks(values: Sequence[float], most: int = 8) -> list[float]:
    """The values themselves if they are few, or every n-th of them."""
    found = sorted(set(values))
    return found[:: max(1, math.ceil(len(found) / most))]


def _levels(y_at: Place) -> list[str]:
    parts = []
    for level in range(0, 101, 20):
        parts += [rule(f"M{LEFT:g} {y_at(level):.1f}H{WIDTH - RIGHT:g}")]
        parts += [text(LEFT - 6, y_at(level) + 4, str(level), anchor="end")]
    return parts


def _ticks(ticks: Sequence[float], x_at: Place) -> list[str]:
    """A line for each, and its number where the last one leaves room."""
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


def _curve(curve: Curve, x_at: Place, y_at: Place, shade: float) -> str:
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
        parts.append(told(f"{curve.label}\n{point} at {point.x:g}", mark(x, y, curve.color) + target))
    return colored(curve.color, "".join(parts))


def _stroke(path: str, dashed: bool) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="2"{dashes}/>'
