"""The options of a defense, held to where they make sense."""

from __future__ import annotations

from variate.errors import UsageError


def above_zero(name: str, value: float, *, below: float = float("inf")) -> None:
    """Raise ``UsageError`` for an option that is not between 0 and ``below``, both excluded."""
    if not 0 < value < below:
        limit = "" if below == float("inf") else f" and below {below:g}"
        raise UsageError(f"{name} is {value!r}", expected=f"a finite number above 0{limit}")


def at_least(name: str, value: int, least: int) -> None:
    """Raise ``UsageError`` for an option that is below ``least``."""
    if value < least:
        raise UsageError(f"{name} is {value!r}", expected=f"a whole number from {least}")
