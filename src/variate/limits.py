"""Limits of options, declared once in the signature that takes them: ``steps: Count = 40``.

An option is checked against its annotation: its type, and the limits in ``Annotated[float, Limits(above=0)]``. Anything
else in a signature (tensors, modules) is not checked here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from variate.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Limits:
    """The limits of a number; None for no limit.

    Attributes:
        at_least, above: smallest allowed number, and the number that it must exceed.
        at_most, below: largest allowed number, and the number that it must not reach.
        multiple_of: a whole number that divides it.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    multiple_of: int | None = None

    def allow(self, value: Any) -> bool:
        """Whether a number is within the limits."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
            and (self.multiple_of is None or value % self.multiple_of == 0)
        )

    def __str__(self) -> str:
        limits = {
            "of at least": self.at_least,
            "above": self.above,
            "of at most": self.at_most,
            "below": self.below,
            "divisible by": self.multiple_of,
        }
        return " and ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)


Count = Annotated[int, Limits(at_least=1)]
Positive = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(at_least=0)]
Share = Annotated[float, Limits(above=0, at_most=1)]
Inner = Annotated[float, Limits(above=0, below=1)]
Momentum = Annotated[float, Limits(at_least=0, below=1)]


def limited(function: F) -> F:
    """Decorate a function: its keyword arguments are checked against its annotations. Raises ``UsageError``."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        check_options(function, options)
        return function(*arguments, **options)

    return run  # type: ignore[return-value]


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Check the options of a function against its annotations. Raises ``UsageError`` with every finding."""
    hints = _hints(function)
    wrong = {name: value for name, value in options.items() if name in hints and not _takes(hints[name], value)}
    if wrong:
        name = getattr(function, "__name__", "it").replace("_", "-")
        raise UsageError(
            f"{name} cannot take {', '.join(f'{option}={value!r}' for option, value in wrong.items())}",
            expected="; ".join(f"{option}: {_described(hints[option])}" for option in wrong),
        )


@functools.cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # names that exist for type checkers alone
        return {}


def _takes(hint: Any, value: Any) -> bool:
    """Whether a value has the type and is within the limits of an annotation."""
    origin = get_origin(hint)
    if origin is Annotated:
        kind, *limits = get_args(hint)
        return _takes(kind, value) and all(limit.allow(value) for limit in limits if isinstance(limit, Limits))
    if origin in (Union, UnionType):
        return any(_takes(kind, value) for kind in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint in (None, NoneType):
        return value is None
    if hint is bool or hint is str:
        return isinstance(value, hint)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return callable(value) if origin is Callable else True


def _described(hint: Any) -> str:
    """An annotation in words."""
    origin = get_origin(hint)
    if origin is Annotated:
        kind, *limits = get_args(hint)
        return " ".join([_described(kind), *map(str, limits)])
    if origin in (Union, UnionType):
        return " or ".join(_described(kind) for kind in get_args(hint) if kind is not NoneType)
    if origin is Literal:
        return " or ".join(map(str, get_args(hint)))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
    return words.get(hint, "a function" if origin is Callable else str(getattr(hint, "__name__", hint)))
