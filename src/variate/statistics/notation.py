"""How numbers and names are written, everywhere: ``43.0 [40.1, 46.0]``, ``-1.8 [-3.9, +0.4]`` and a quoted ``at``."""

from __future__ import annotations


def percent(rate: float) -> str:
    """A rate in [0, 1] in percent with one decimal, without the percent sign: ``43.0``."""
    return _hundredfold(rate, "")


def points(difference: float) -> str:
    """A difference of rates in percentage points, always with its sign: ``-1.8``, ``+0.4``, ``+0.0``."""
    return _hundredfold(difference, "+")


def percent_interval(low: float, high: float) -> str:
    """The interval of a rate: ``[40.1, 46.0]``."""
    return f"[{percent(low)}, {percent(high)}]"


def percent_range(low: float, high: float) -> str:
    """The interval of a rate where every column of a terminal counts: ``40-46``."""
    return f"{100 * low:.0f}-{100 * high:.0f}"


def points_interval(low: float, high: float) -> str:
    """The interval of a difference: ``[-3.9, +0.4]``."""
    return f"[{points(low)}, {points(high)}]"


def quoted(name: str) -> str:
    """A name in backquotes, so that ``at`` is never read as a preposition; the page sets it as code."""
    return f"`{name}`"


def _hundredfold(share: float, sign: str) -> str:
    """A share times 100 with one decimal; a number that rounds to zero has no minus sign."""
    return f"{round(100 * share, 1) + 0.0:{sign}.1f}"
