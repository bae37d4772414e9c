"""The interval plot of the verdict: one strip per network and one for the difference, in SVG without a script.

A strip has no ``viewBox``: horizontal positions are percentages, so it is as wide as its place on the page while marks
keep their size, on a phone as on a desk. Its numbers stand beside it as text.
"""

from __future__ import annotations

from variate.report.estimate import Estimate
from variate.statistics.comparison import Comparison

HEIGHT, MIDDLE = 28, 14
TICKS = (0, 25, 50, 75, 100)  # percent
BOUNDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # a difference is drawn on the smallest of these scales that holds it


def rate_strip(estimate: Estimate) -> str:
    """Accuracy, %: a disk with its interval; a ring without attack, a diamond if asked again, a bar if proved."""
    parts = [_line(tick, tick, "grid", y=(0, HEIGHT)) for tick in TICKS]
    row = estimate.row
    if estimate.clean is not None:
        clean = 100 * estimate.clean.rate
        parts += [_line(100 * row.rate, clean, "lost"), _circle(clean, "clean", 4.5)]
    if estimate.repeated is not None:
        parts.append(_diamond(100 * estimate.repeated.rate))
    if estimate.proved is not None:
        proved = 100 * estimate.proved.rate
        parts.append(_line(proved, proved, "proved", y=(4, HEIGHT - 4)))
    parts += [_line(100 * row.low, 100 * row.high, "span"), _circle(100 * row.rate, "rate", 5.5)]
    return _svg(parts, "strip " + estimate.role + (" doubted" if estimate.flags else ""))


def difference_strip(difference: Comparison) -> str:
    """The paired difference with its interval, on a scale around zero of ``difference_bound``."""
    bound = difference_bound(difference)

    def x_at(share: float) -> float:
        return 50 + 50 * share / bound

    parts = [_line(x, x, "grid", y=(0, HEIGHT)) for x in (0, 25, 75, 100)]
    parts += [_line(50, 50, "zero", y=(0, HEIGHT))]
    parts += [_line(x_at(max(difference.low, -bound)), x_at(min(difference.high, bound)), "span")]
    return _svg([*parts, _circle(x_at(difference.difference), "rate", 5.5)], "strip difference")


def difference_bound(difference: Comparison) -> float:
    """The end of the scale of a difference, a share of 1."""
    reach = max(abs(difference.low), abs(difference.high))
    return next((bound for bound in BOUNDS if reach <= bound), BOUNDS[-1])


def _svg(parts: list[str], classes: str) -> str:
    return f'<svg class="{classes}" width="100%" height="{HEIGHT}" aria-hidden="true">{"".join(parts)}</svg>'


def _line(start: float, end: float, kind: str, *, y: tuple[int, int] = (MIDDLE, MIDDLE)) -> str:
    return f'<line class="{kind}" x1="{start:.2f}%" x2="{end:.2f}%" y1="{y[0]}" y2="{y[1]}"/>'


def _circle(x: float, kind: str, radius: float) -> str:
    return f'<circle class="{kind}" cx="{x:.2f}%" cy="{MIDDLE}" r="{radius:g}"/>'


def _diamond(x: float) -> str:
    """A diamond; an inner ``svg`` carries it to its place, since paths take no percentages."""
    shape = '<path d="M0 -5.5L5.5 0L0 5.5L-5.5 0Z"/>'
    return f'<svg class="repeated" x="{x:.2f}%" y="{MIDDLE}" overflow="visible">{shape}</svg>'
