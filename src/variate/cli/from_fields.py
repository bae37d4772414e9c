"""Options of a command made from the fields of the dataclasses that it takes."""

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
    """What of a dataclass a command takes, where it is not all: ``recipe: Annotated[Recipe, Only(without=("log",))]``.

    Attributes:
        without: options that the command does not have.
        needed: options that must be given, whatever their default.
    """

    without: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def names(kind: str, *others: str) -> Callable[[str], list[str]]:
    """What a shell completes a value to: the names of a kind, and others. Nothing heavy is imported."""

    def complete(incomplete: str) -> list[str]:
        known = [*(registry.entries(kind) if kind else ()), *others]
        return [name for name in known if name.startswith(incomplete)]

    return complete


def from_fields(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for every field of each dataclass among its parameters.

    The defaults are those of the parameter's default, which is an instance, or else of the dataclass. Fields of
    dataclasses that only the command line has are annotated with ``typer.Option``, as parameters are.
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
        described = any(KEY in one.metadata or is_dataclass(one.default) for one in fields(kind))
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
    """The ``typer.Option`` of one field, for commands that do not take its dataclass; ``text`` instead of its help."""
    return next(_option(one, text) for one in options_of(kind) if one.name == name)


class _Described:
    """A dataclass whose fields say what they are: see ``variate.fields.option``."""

    def __init__(self, kind: type, given: Any, only: Only) -> None:
        self.kind, self.given = kind, given
        taken = [one for one in options_of(kind if given is None else given) if one.name not in only.without]
        self.own = {one.known.singular or one.name: one for one in taken}
        self.parameters = {flag: _parameter(flag, one, only) for flag, one in self.own.items()}

    def take(self, typed: Mapping[str, Any]) -> Any:
        """The dataclass of what was typed."""
        values = {one.name: read(one, typed[flag]) for flag, one in self.own.items()}
        return built(self.kind, values, self.given)


class _Annotated:
    """A dataclass whose fields are annotated as the parameters of a command."""

    def __init__(self, kind: type) -> None:
        self.kind = kind
        hints = get_type_hints(kind, include_extras=True)
        self.parameters = {
            one.name: inspect.Parameter(one.name, KEYWORD, default=one.default, annotation=hints[one.name])
            for one in fields(kind)
        }

    def take(self, typed: Mapping[str, Any]) -> Any:
        """The dataclass of what was typed."""
        return self.kind(**typed)


def _dataclass_in(hint: Any) -> tuple[type | None, Only]:
    """The dataclass that a parameter holds, and what of it is taken; None for anything else."""
    kind, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    only = next((mark for mark in marks if isinstance(mark, Only)), Only())
    return (kind if isinstance(kind, type) and is_dataclass(kind) else None), only


def _parameter(flag: str, one: Field, only: Only) -> inspect.Parameter:
    hint = typed_as(one.inner)
    if one.default is MISSING or one.name in only.needed:
        return inspect.Parameter(flag, KEYWORD, annotation=Annotated[hint, _option(one)])
    default = _shown(one, hint)
    return inspect.Parameter(
        flag, KEYWORD, default=default, annotation=Annotated[hint | None if default is None else hint, _option(one)]
    )


def _option(one: Field, text: str | None = None) -> Any:
    hint = typed_as(one.inner)
    words = text or help_of(one, typed=True)
    complete = names(one.known.entries, *one.choices) if one.known.entries or one.choices else None
    return typer.Option(
        "--" + (one.known.singular or one.name).replace("_", "-"),
        help=f"{words}{' Repeatable.' if get_origin(hint) is list else ''}",
        min=one.known.at_least,
        autocompletion=complete,
    )


def _shown(one: Field, hint: Any) -> Any:
    """The default of an option as it would be typed."""
    if one.default is None:
        return None
    if get_origin(hint) is list:
        return list(one.default) or None
    return hint(one.default) // one.known.factor if one.known.factor != 1 else hint(one.default)
