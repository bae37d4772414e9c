"""Make the options of a command from the fields of the dataclasses that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from variate import registry
from variate.fields import KEY, Field, built, help_of, options_of, read, typed_as

KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Only:
    """Which options of a dataclass a command takes: ``recipe: Annotated[Recipe, Only(without=("log",))]``.

    Attributes:
        without: options that the command does not have.
        needed: options that are required, whatever their default.
    """

    without: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def names(kind: str, *others: str) -> Callable[[str], list[str]]:
    """A shell completion function for the names of a registry kind and other words. Imports nothing heavy."""

    def complete(incomplete: str) -> list[str]:
        candidates = [*(registry.entries(kind) if kind else ()), *others]
        return [name for name in candidates if name.startswith(incomplete)]

    return complete


def from_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every field of each dataclass among its parameters.

    Defaults come from the parameter's default, an instance, or else from the dataclass. Dataclasses that only the
    command line uses annotate their fields with ``typer.Option``, as parameters do.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    takers: dict[str, _Described | _Annotated] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind, only = _dataclass_in(hints[parameter.name])
        if kind is None:
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=KEYWORD))
            continue
        given = None if parameter.default is parameter.empty else parameter.default
        described = any(KEY in item.metadata or is_dataclass(item.default) for item in fields(kind))
        takers[parameter.name] = _Described(kind, given, only) if described else _Annotated(kind)
        parameters += takers[parameter.name].parameters.values()

    @wraps(command)
    def run(**typed: Any) -> Any:
        for name, taker in takers.items():
            typed[name] = taker.take({flag: typed.pop(flag) for flag in taker.parameters})
        return command(**typed)

    parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def typed(kind: type, name: str, text: str | None = None) -> Any:
    """The ``typer.Option`` of one field, for commands that do not take its dataclass; ``text`` replaces its help."""
    return next(_option(item, text) for item in options_of(kind) if item.name == name)


class _Described:
    """A dataclass whose fields were made by ``variate.fields.option``."""

    def __init__(self, kind: type, given: Any, only: Only) -> None:
        self.kind, self.given = kind, given
        options = [item for item in options_of(kind if given is None else given) if item.name not in only.without]
        self.own = {item.option.singular or item.name: item for item in options}
        self.parameters = {flag: _parameter(flag, item, only) for flag, item in self.own.items()}

    def take(self, typed: Mapping[str, Any]) -> Any:
        """Build the dataclass from command-line values."""
        values = {item.name: read(item, typed[flag]) for flag, item in self.own.items()}
        return built(self.kind, values, self.given)


class _Annotated:
    """A dataclass whose fields are annotated like the parameters of a command."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        hints = get_type_hints(kind, include_extras=True)
        self.parameters = {
            item.name: inspect.Parameter(item.name, KEYWORD, default=item.default, annotation=hints[item.name])
            for item in fields(kind)
        }

    def take(self, typed: Mapping[str, Any]) -> Any:
        """Build the dataclass from command-line values."""
        return self.kind(**typed)


def _dataclass_in(hint: Any) -> tuple[type | None, Only]:
    """The dataclass in a parameter's annotation, None if there is none, and the options to take."""
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    only = next((mark for mark in marks if isinstance(mark, Only)), Only())
    return (kind if isinstance(kind, type) and is_dataclass(kind) else None), only


def _parameter(flag: str, item: Field, only: Only) -> inspect.Parameter:
    hint = typed_as(item.inner)
    if item.default is MISSING or item.name in only.needed:
        return inspect.Parameter(flag, KEYWORD, annotation=Annotated[hint, _option(item)])
    default = _typed_default(item, hint)
    return inspect.Parameter(
        flag, KEYWORD, default=default, annotation=Annotated[hint | None if default is None else hint, _option(item)]
    )


def _option(item: Field, text: str | None = None) -> Any:
    hint = typed_as(item.inner)
    help_text = text or help_of(item, typed=True)
    complete = names(item.option.entries, *item.choices) if item.option.entries or item.choices else None
    return typer.Option(
        "--" + (item.option.singular or item.name).replace("_", "-"),
        help=f"{help_text}{' Repeatable.' if get_origin(hint) is list else ''}",
        min=item.option.at_least,
        autocompletion=complete,
    )


def _typed_default(item: Field, hint: Any) -> Any:
    """The default of an option as a command-line value."""
    if item.default is None:
        return None
    if get_origin(hint) is list:
        return list(item.default) or None
    return hint(item.default) // item.option.factor if item.option.factor != 1 else hint(item.default)
