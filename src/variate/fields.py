"""Options as fields of a dataclass: Python, the command line and TOML files take names, defaults and help from them.

A field made by ``option`` defines an option once. A dataclass may hold another one as a field, as ``Cell`` holds a
``Recipe``: in commands and files the fields of both are listed side by side.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from numbers import Integral
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from variate.errors import UsageError, unknown_name

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
KEY = "option"  # key of a field's metadata


@dataclass(frozen=True)
class Option:
    """The properties of an option other than its name, type and default.

    Attributes:
        help: one line of help; ``{unit}`` is replaced by the unit, which may differ on the command line.
        entries: kind of registry entries that it names, for shell completion.
        choices: words that the value may be or start with; those of a ``Literal`` are added automatically.
        at_least: smallest allowed number.
        singular: name on the command line, if the option can be repeated.
        unit: unit in Python.
        typed_unit: unit on the command line and in files, if different.
        factor: number of units in one typed unit.
        parse: converts the text of the command line to the value, where the type is not enough.
    """

    help: str
    entries: str = ""
    choices: tuple[str, ...] = ()
    at_least: float | None = None
    singular: str = ""
    unit: str = ""
    typed_unit: str = ""
    factor: int = 1
    parse: Callable[[str], Any] | None = None


def option(default: T, text: str, **attributes: Any) -> T:
    """A field with its default and the attributes of ``Option``; typed as the default for type checkers."""
    value: T = field(default=default, metadata={KEY: Option(text, **attributes)})
    return value


def required(text: str, **attributes: Any) -> dict[str, Option]:
    """The metadata of a field without a default."""
    return {KEY: Option(text, **attributes)}


@dataclass(frozen=True)
class Field:
    """One option of a dataclass or of a dataclass that it holds.

    Attributes:
        name: name in Python and in files.
        hint: type annotation.
        default: default value; ``MISSING`` for a required option.
        option: help, limits and so on.
        within: name of the field that holds its dataclass; empty for fields of the dataclass itself.
    """

    name: str
    hint: Any
    default: Any
    option: Option
    within: str = ""

    @property
    def inner(self) -> Any:
        """The type without ``None``."""
        kinds = [kind for kind in get_args(self.hint) if kind is not NoneType]
        return Union[tuple(kinds)] if _is_union(self.hint) else self.hint  # noqa: UP007 (of a computed tuple)

    @property
    def choices(self) -> tuple[str, ...]:
        """Words that the value may be or start with."""
        parts = get_args(self.inner) if _is_union(self.inner) else (self.inner,)
        literals = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
        return self.option.choices or tuple(literals)

    @property
    def optional(self) -> bool:
        """Whether it may be None."""
        return NoneType in get_args(self.hint)


def options_of(source: type | object) -> list[Field]:
    """The options of a dataclass and of those that it holds; an instance's values are their defaults."""
    kind = source if isinstance(source, type) else type(source)
    hints, options = get_type_hints(kind), []
    for item in fields(kind):
        default = item.default if source is kind else getattr(source, item.name)
        if is_dataclass(hints[item.name]):
            nested = hints[item.name] if default is MISSING else default
            options += [replace(inner, within=item.name) for inner in options_of(nested)]
        elif KEY in item.metadata:
            options.append(Field(item.name, hints[item.name], default, item.metadata[KEY]))
    return options


def defaults_of(source: type | object) -> dict[str, Any]:
    """The default of every option that has one."""
    return {item.name: item.default for item in options_of(source) if item.default is not MISSING}


def built(kind: type[T], values: Mapping[str, Any], given: T | None = None) -> T:
    """Build a dataclass, and those that it holds, from one flat mapping of options.

    Args:
        kind: the dataclass.
        values: values by option name; unknown names are ignored.
        given: instance whose values are used for missing options; by default those of the dataclass.
    """
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for item in options_of(kind):
        if item.name in values:
            (nested.setdefault(item.within, {}) if item.within else own)[item.name] = values[item.name]
    for name, inner in nested.items():
        default = getattr(kind if given is None else given, name)
        own[name] = built(type(default), inner, default)
    return kind(**own) if given is None else replace(given, **own)  # type: ignore[type-var]


def overridden(given: T, overrides: Mapping[str, Any], of: Callable[..., Any]) -> T:
    """A copy of a dataclass with some fields replaced. Raises ``UsageError`` for an unknown name.

    Args:
        given: the dataclass.
        overrides: values by name.
        of: function that was called with the overrides; the error suggests the nearest of its arguments.
    """
    names = {item.name for item in fields(given)}  # type: ignore[arg-type]
    for name in overrides:
        if name not in names:
            raise unknown_name(f"argument of {of.__name__}", name, list(inspect.signature(of).parameters))
    return replace(given, **overrides)  # type: ignore[type-var]


def check_limits(source: object) -> None:
    """Raise ``UsageError`` for a value that is no number where one is needed, and for a number below its limit."""
    for item in options_of(source):
        least, value = item.option.at_least, item.default
        if item.inner is int and value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
            raise UsageError(f"{item.name} is {value!r}", expected="a whole number")
        if item.inner is float and value is not None and not _is_number(value):
            raise UsageError(f"{item.name} is {value!r}", expected="a number")
        if least is not None and isinstance(value, int | float) and not value >= least:
            raise UsageError(f"{item.name} is {value:g}", expected=f"at least {least:g}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def takes_options(source: type | object) -> Callable[[F], F]:
    """Decorate a function that takes a dataclass's fields as ``**overrides``: add them to its signature and help.

    Args:
        source: the dataclass, or an instance whose values are the defaults.
    """
    kind = source if isinstance(source, type) else type(source)

    def documented(function: F) -> F:
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        options = options_of(source)
        parameters += [
            inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=item.default, annotation=item.hint)
            for item in options
        ]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        lines = "".join(f"    {item.name}: {help_of(item)}\n" for item in options)
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions of {kind.__name__}:\n{lines}"
        return function

    return documented


def help_of(item: Field, *, typed: bool = False) -> str:
    """The help line of an option; with ``typed``, in the unit of the command line."""
    unit = (item.option.typed_unit or item.option.unit) if typed else item.option.unit
    text = item.option.help.replace("{unit}", unit)
    if text.split()[0].strip(",:;") not in item.choices:  # a value of the option keeps its spelling
        text = f"{text[:1].upper()}{text[1:]}"
    return f"{text}."


def typed_as(hint: Any) -> Any:
    """The type of an option on the command line: text for words of any kind, lists for sequences."""
    if _is_union(hint):
        parts = [typed_as(part) for part in get_args(hint) if part is not NoneType]
        return str if str in parts or len(set(parts)) > 1 else parts[0]
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) is Sequence:
        return list[typed_as(get_args(hint)[0])]  # type: ignore[misc]
    return hint


def written_as(hint: Any) -> Any:
    """The type of an option in a TOML file: words are text, checked where they are used."""
    if _is_union(hint):
        return Union[tuple(part if part is NoneType else written_as(part) for part in get_args(hint))]  # noqa: UP007
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) is Sequence:
        return list[written_as(get_args(hint)[0])]  # type: ignore[misc]
    if get_origin(hint) is Mapping:
        return dict[get_args(hint)]  # type: ignore[misc]
    return hint


def read(item: Field, value: Any) -> Any:
    """The value of an option in Python, from its command-line value; ``none`` sets an optional option to None."""
    if value is None:
        return () if get_origin(item.inner) is Sequence else None
    if value == "none" and item.optional:
        return None
    if isinstance(value, list):
        return tuple(value if item.option.parse is None else map(item.option.parse, value))
    if item.option.parse is not None:
        return item.option.parse(value)
    return value * item.option.factor if item.option.factor != 1 else value


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)
