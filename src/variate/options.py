"""Names with options, as users write them: ``student-t(df=4, share=channel)``, ``snr(target=10)``.

A quoted value is always text: ``csv(path='2024, first half.csv')``.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from variate.errors import UsageError
from variate.own_code import lines_of

PART = re.compile(r"""(?:'[^']*'|"[^"]*"|[^,'"]|['"])+""")  # commas only within quotes
QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
CODE = "module:callable importable from here, such as mypackage.networks:build, or FILE.py:callable"
LONGEST = 1000  # characters of a number
FORM = re.compile(r"([\w-]+)\s*(?:\((.*)\))?", re.S)

Value = str | float | bool
T = TypeVar("T")


def parse(text: str, what: str, function: Callable[..., Any] | None = None) -> tuple[str, dict[str, Value]]:
    """Parse a name and its options. Raises ``UsageError``.

    Args:
        text: ``name`` or ``name(option=value, ...)``; a quoted value may contain commas.
        what: what the text names, for the error message.
        function: function that takes the options; options that it annotates as text are not read as numbers.
    """
    match = FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not {what}", expected="name, or name(option=value, option=value)")
    parameters = {} if function is None else inspect.signature(function).parameters
    options: dict[str, Value] = {}
    for word in filter(None, map(str.strip, PART.findall(match[2] or ""))):
        option, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise UsageError(f"the option {word!r} of {match[1]} has no value", expected="option=value")
        quoted = QUOTED.fullmatch(value)
        if quoted:
            options[option] = quoted[1] if quoted[2] is None else quoted[2]
        else:
            options[option] = value if option in parameters and _takes_text(parameters[option]) else _value(value)
    return match[1], options


def _takes_text(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is annotated as text and not as a number or a truth value."""
    kinds = set(re.findall(r"\w+", str(getattr(parameter.annotation, "__name__", parameter.annotation))))
    return bool(kinds & {"str", "Path"}) and not kinds & {"int", "float", "bool"}


def plain(text: str) -> str:
    """The name without its options."""
    return text.partition("(")[0].strip()


def names_code(text: str) -> bool:
    """Whether the text is the user's own ``module:callable`` rather than a name with options."""
    return ":" in plain(text)


def module_of(path: str) -> tuple[str, str]:
    """The module and the attribute that ``module:callable`` or ``FILE.py:callable`` names; a file is made importable.

    Raises ``UsageError``.
    """
    name, _, attribute = path.rpartition(":") if ":" in path else (path, "", "")
    if name.endswith(".py"):
        return _module_of_file(Path(name)), attribute
    if "/" in name or "\\" in name:
        stem = re.split(r"[/\\]", name)[-1]
        raise UsageError(
            f"{name!r} is neither a module nor a file",
            expected=CODE,
            todo=f"{name}.py:{attribute} for a file, {stem}:{attribute} for a module of the current folder",
        )
    if not name or name.startswith("."):
        raise UsageError(f"{name!r} is not the name of a module", expected=CODE)
    return name, attribute


def _module_of_file(path: Path) -> str:
    """Make the module of a file importable, and return its name. Raises ``UsageError``."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}", expected=CODE)
    imported = sys.modules.get(path.stem)
    if imported is not None and Path(getattr(imported, "__file__", None) or "").resolve() != path.resolve():
        raise UsageError(f"a module named {path.stem!r} is imported already", todo=f"rename {path}")
    folder = str(path.resolve().parent)
    if folder not in sys.path[:1]:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    return path.stem


def entry_for(text: str, table: Mapping[str, T]) -> T | None:
    """Look up a name with its options, else the name alone; None if the table has neither."""
    return table.get(text, table.get(plain(text)))


def written(name: str, options: Mapping[str, Value]) -> str:
    """The inverse of ``parse``: the shortest text with the same meaning."""
    inside = ", ".join(f"{option}={_quoted(value)}" for option, value in options.items())
    return f"{name}({inside})" if inside else name


def _quoted(value: Value) -> Value:
    """Quote text that would otherwise be read as something else."""
    if not isinstance(value, str) or (
        value and value == value.strip() and _value(value) == value and not set(value) & set(",'\"")
    ):
        return value
    return f'"{value}"' if "'" in value else f"'{value}'"


def exact(text: str) -> Fraction:
    """A number as an exact fraction. Raises ``ValueError`` for text, and for numbers that no float holds."""
    written = text.strip()
    exponent = written.lower().partition("e")[2]
    if len(written) > LONGEST or len(exponent) > len("-300"):
        raise ValueError(f"{written[:20]}... is too long for a number")
    try:
        number = Fraction(written)
        float(number)
    except (ZeroDivisionError, OverflowError) as error:
        raise ValueError(str(error)) from error
    return number


def counted(text: str) -> int:
    """A whole number from 1. Raises ``ValueError`` for anything else, and for numbers of more than nine digits."""
    if not text.isascii() or not text.isdecimal() or len(text) > len("999999999") or int(text) < 1:
        raise ValueError(f"{text[:20]} is not a whole number from 1")
    return int(text)


def whole(value: Any) -> Any:
    """Convert a float that is a whole number to an integer, since options are parsed as floats; keep anything else."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def import_callable(path: str) -> Callable[..., Any]:
    """Import the user's own ``module:callable`` or ``FILE.py:callable``.

    The module of a file is named after it, and its folder is searched for what it imports, as if it were run.
    Raises ``UsageError`` that says which half is wrong.
    """
    module_name, attribute = module_of(path)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(
            f"cannot import {module_name!r}: {error}", findings=lines_of(error)[:1], expected=CODE
        ) from error
    except Exception as error:
        raise UsageError(
            f"cannot import {module_name!r}: {type(error).__name__}: {error}", findings=lines_of(error)
        ) from error
    target = getattr(module, attribute, None)
    if not callable(target):
        raise UsageError(f"{module_name!r} has no callable named {attribute!r}", expected=CODE)
    return target  # type: ignore[no-any-return]
