"""Name patterns such as ``fc.*``, by which users choose parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from variate.errors import unknown_name


def first_match(patterns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first pattern that matches any of the names of one parameter; None if none does."""
    return next((pattern for pattern in patterns if any(fnmatchcase(name, pattern) for name in names)), None)


def no_match(pattern: str, names: Sequence[str]) -> str:
    """The finding that a pattern matches none of the names, with the nearest of them."""
    hint = unknown_name("parameter", pattern, names).todo
    return f"the pattern {pattern!r} matches no parameter" + (f" ({hint})" if hint else "")
