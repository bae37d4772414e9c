"""A name with options, as users write it everywhere: ``student-t(df=4, share=channel)``, ``snr(target=10)``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from variate.errors import UsageError

FORM = re.compile(r"([\w-]+)\s*(?:\((.*)\))?", re.S)

Value = str | float | bool
T = TypeVar("T")


def parse(text: str, what: str) -> tuple[str, dict[str, Value]]:
    """The name and its options. Raises ``UsageError``.

    Args:
        text: ``name`` or ``name(option=value, ...)``.
        what: what it names, for the error.
    """
    match = FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not {what}", expected="name, or name(option=value, option=value)")
    options: dict[str, Value] = {}
    for word in filter(None, map(str.strip, (match[2] or "").split(","))):
        option, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise UsageError(f"the option {word!r} of {match[1]} has no value", expected="option=value")
        options[option] = _value(value)
    return match[1], options


def plain(text: str) -> str:
    """The name alone, without its options."""
    return text.partition("(")[0].strip()


def names_code(text: str) -> bool:
    """Whether it is the user's own ``module:callable``, and no name with options."""
    return ":" in plain(text)


def said_of(text: str, table: Mapping[str, T]) -> T | None:
    """What a table says under a name with options, else under the name alone; None for nothing."""
    return table.get(text, table.get(plain(text)))


def written(name: str, options: Mapping[str, Value]) -> str:
    """``parse`` backwards: the shortest text that means the same."""
    inside = ", ".join(f"{option}={value}" for option, value in options.items())
    return f"{name}({inside})" if inside else name


def whole(value: Any) -> Any:
    """Numbers written in options are floats: a whole one is meant as an integer. Anything else stays."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
