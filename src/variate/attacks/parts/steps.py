"""What an attack may be told to take."""

from __future__ import annotations

from variate.errors import UsageError


def check_steps(attack: str, **counts: int) -> None:
    """Whether every count (steps, restarts, queries) is 1 or more. Raises ``UsageError``."""
    for what, count in counts.items():
        if count < 1:
            raise UsageError(f"{attack} cannot take {count} {what}", expected="at least 1")
