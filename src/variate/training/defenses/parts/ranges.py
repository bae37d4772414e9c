"""Range checks for the options of defenses."""

from __future__ import annotations

from variate.errors import UsageError


def check_above_zero(name: str, value: float, *, below: float = float("inf")) -> None:
    """Check that an option is above 0 and below ``below``. Raises ``UsageError``."""
    if not 0 < value < below:
        limit = "" if below == float("inf") else f" and below {below:g}"
        raise UsageError(f"{name} is {value!r}", expected=f"a finite number above 0{limit}")


def check_at_least(name: str, value: int, least: int) -> None:
    """Check that an option is at least ``least``. Raises ``UsageError``."""
    if value < least:
        raise UsageError(f"{name} is {value!r}", expected=f"a whole number of at least {least}")
