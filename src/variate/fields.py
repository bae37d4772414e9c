"""Options as fields of a dataclass: Python, the command line and TOML files take names, defaults and help from them.

A field made by ``option`` says once what an option is. A dataclass may hold another one as a field, ``Cell`` a
``Recipe``: in a command and in a file the fields of both stand side by side.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from variate.errors import UsageError, unknown_name

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
KEY = "option"  # of a field's metadata


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its name, type and default.

    Attributes:
        help: one line; ``{unit}`` stands for the unit, which differs where the option is typed.
        entries: the kind of the registry's entries that it names, for completion in a shell.
        choices: words that it may be, or begin with; those of a ``Literal`` need not be named.
        at_least: the smallest number that it may be.
        singular: its name on the command line, where it may be repeated.
        unit: what it counts, in Python.
        typed_unit: what it counts on the command line and in files, if not the same.
        factor: one typed unit, in units.
        parse: from the text on the command line to the value, where the type does not say it.
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


def option(default: T, text: str, **known: Any) -> T:
    """A field with its default and the attributes of ``Option``; to a type checker it is the default."""
    made: T = field(default=default, metadata={KEY: Option(text, **known)})
    return made


def required(text: str, **known: Any) -> dict[str, Option]:
    """The metadata of a field that has no default."""
    return {KEY: Option(text, **known)}


@dataclass(frozen=True)
class Field:
    """One option of a dataclass, or of one that it holds.

    Attributes:
        name: in Python and in files.
        hint: its type.
        default: ``MISSING`` for none.
        known: its help and the like.
        within: the name of the field that holds its dataclass; empty for the dataclass's own.
    """

    name: str
    hint: Any
    default: Any
    known: Option
    within: str = ""

    @property
    def inner(self) -> Any:
        """The type without ``None``."""
        left = [one for one in get_args(self.hint) if one is not NoneType]
        return Union[tuple(left)] if _is_union(self.hint) else self.hint  # noqa: UP007 (of a computed tuple)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be, or begin with."""
        parts = get_args(self.inner) if _is_union(self.inner) else (self.inner,)
        literals = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
        return self.known.choices or tuple(literals)

    @property
    def optional(self) -> bool:
        """Whether it may be left open."""
        return NoneType in get_args(self.hint)


def options_of(made: type | object) -> list[Field]:
    """The options of a dataclass and of those that it holds, with an instance's values as their defaults."""
    kind = made if isinstance(made, type) else type(made)
    hints, found = get_type_hints(kind), []
    for one in fields(kind):
        default = one.default if made is kind else getattr(made, one.name)
        if is_dataclass(hints[one.name]):
            held = hints[one.name] if default is MISSING else default
            found += [replace(inner, within=one.name) for inner in options_of(held)]
        elif KEY in one.metadata:
            found.append(Field(one.name, hints[one.name], default, one.metadata[KEY]))
    return found


def defaults_of(made: type | object) -> dict[str, Any]:
    """The default of every option that has one."""
    return {one.name: one.default for one in options_of(made) if one.default is not MISSING}


def built(kind: type[T], values: Mapping[str, Any], given: T | None = None) -> T:
    """A dataclass from the values of its options and of those of the dataclasses that it holds, side by side.

    Args:
        kind: the dataclass.
        values: by name; other names are left alone.
        given: what is not in ``values`` is as here; without it, the default.
    """
    own: dict[str, Any] = {}
    held: dict[str, dict[str, Any]] = {}
    for one in options_of(kind):
        if one.name in values:
            (held.setdefault(one.within, {}) if one.within else own)[one.name] = values[one.name]
    for name, inner in held.items():
        part = getattr(kind if given is None else given, name)
        own[name] = built(type(part), inner, part)
    return kind(**own) if given is None else replace(given, **own)  # type: ignore[type-var]


def overridden(given: T, overrides: Mapping[str, Any], of: Callable[..., Any]) -> T:
    """A dataclass with other values for some of its fields. Raises ``UsageError`` for a name that it does not have.

    Args:
        given: the dataclass.
        overrides: values by name.
        of: the function that was called with them, whose arguments are the names that the user may have meant.
    """
    known = {one.name for one in fields(given)}  # type: ignore[arg-type]
    for name in overrides:
        if name not in known:
            raise unknown_name(f"argument of {of.__name__}", name, list(inspect.signature(of).parameters))
    return replace(given, **overrides)  # type: ignore[type-var]


def check_limits(made: object) -> None:
    """Whether every number is as large as it must be. Raises ``UsageError``."""
    for one in options_of(made):
        least, value = one.known.at_least, one.default
        if least is not None and isinstance(value, int | float) and not value >= least:
            raise UsageError(f"{one.name} is {value:g}", expected=f"at least {least:g}")


def takes_options(kind: type) -> Callable[[F], F]:
    """For a function that takes a dataclass's fields as ``**overrides``: they are in its signature and its help."""

    def shown(function: F) -> F:
        signature = inspect.signature(function)
        words = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        own = options_of(kind)
        words += [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.hint)
            for one in own
        ]
        function.__signature__ = signature.replace(parameters=words)  # type: ignore[attr-defined]
        lines = "".join(f"    {one.name}: {help_of(one)}\n" for one in own)
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nOptions of {kind.__name__}:\n{lines}"
        return function

    return shown


def help_of(one: Field, *, typed: bool = False) -> str:
    """The line of help of an option; ``typed`` with the unit in which it is typed."""
    unit = (one.known.typed_unit or one.known.unit) if typed else one.known.unit
    text = one.known.help.replace("{unit}", unit)
    if text.split()[0].strip(",:;") not in one.choices:  # a word that can be given stays as it is given
        text = f"{text[:1].upper()}{text[1:]}"
    return f"{text}."


def typed_as(hint: Any) -> Any:
    """The type of an option as a shell types it: text for words of any kind, lists for sequences."""
    if _is_union(hint):
        parts = [typed_as(one) for one in get_args(hint) if one is not NoneType]
        return str if str in parts or len(set(parts)) > 1 else parts[0]
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) is Sequence:
        return list[typed_as(get_args(hint)[0])]  # type: ignore[misc]
    return hint


def written_as(hint: Any) -> Any:
    """The type of an option as a TOML file has it: words are text, which is looked at where it is used."""
    if _is_union(hint):
        return Union[tuple(one if one is NoneType else written_as(one) for one in get_args(hint))]  # noqa: UP007
    if get_origin(hint) is Literal:
        return str
    if get_origin(hint) is Sequence:
        return list[written_as(get_args(hint)[0])]  # type: ignore[misc]
    if get_origin(hint) is Mapping:
        return dict[get_args(hint)]  # type: ignore[misc]
    return hint


def read(one: Field, value: Any) -> Any:
    """The value of an option in Python, from what was typed. ``none`` leaves an optional one open."""
    if value is None:
        return () if get_origin(one.inner) is Sequence else None
    if value == "none" and one.optional:
        return None
    if isinstance(value, list):
        return tuple(value if one.known.parse is None else map(one.known.parse, value))
    if one.known.parse is not None:
        return one.known.parse(value)
    return value * one.known.factor if one.known.factor != 1 else value


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)
