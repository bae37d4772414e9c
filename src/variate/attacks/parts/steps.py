"""Validation of counts that attacks take as options."""

from __future__ import annotations

from variate.errors import UsageError


def check_steps(attack: str, **counts: int) -> None:
    """Check that every count (steps, restarts, tries) is at least 1. Raises ``UsageError``."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{attack} cannot take {count} {name}", expected="at least 1")
