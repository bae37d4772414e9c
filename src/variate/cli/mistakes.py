"""Mistakes on the command line, whoever notices them: all become errors of Variate, drawn as one kind of tree."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from variate.cli import settings
from variate.errors import UsageError, VariateError, unknown_name

PARSER: type[Exception] = typer.BadParameter.__mro__[2]  # base of the parser's errors, which typer does not export
HELP = "NoArgsIsHelpError"  # not a mistake: the help was asked for


@contextmanager
def drawn() -> Iterator[None]:
    """End a command that failed in a message and an exit code, never in a traceback."""
    try:
        yield
    except VariateError as error:
        draw(error)
        raise typer.Exit(error.exit_code) from error
    except PARSER as mistake:
        if type(mistake).__name__ == HELP:
            raise
        ours = as_ours(mistake)
        draw(ours)
        raise typer.Exit(ours.exit_code) from mistake
    except KeyboardInterrupt as stop:
        sys.stderr.write("\nstopped: finished work is kept; run the same command again to continue\n")
        raise typer.Exit(130) from stop


def draw(error: VariateError) -> None:
    """Print the error as a tree on standard error."""
    parts = [*error.findings]
    parts += [f"expected: {error.expected}"] if error.expected else []
    parts += [f"do: {error.todo}"] if error.todo else []
    lines = [f"error: {error.problem}"]
    lines += [f"{'└─' if i == len(parts) - 1 else '├─'} {part}" for i, part in enumerate(parts)]
    sys.stderr.write("\n".join(lines) + "\n")


def as_ours(mistake: Any) -> UsageError:
    """The error for what the parser of the command line refused: an option, a value, a word too many."""
    context, parameter = getattr(mistake, "ctx", None), getattr(mistake, "param", None)
    todo = None if context is None else f"{context.command_path} -h shows what it takes"
    if parameter is not None:
        return _of_value(mistake, context, parameter, todo)
    unknown = getattr(mistake, "option_name", None)
    if unknown is not None and hasattr(mistake, "possibilities") and context is not None:
        known = [f"--{option}" for option in settings.options_of(context.command)]
        return unknown_name(f"option of {context.command_path}", unknown, known)
    return UsageError(_plain(mistake.message), todo=todo)


def _of_value(mistake: Any, context: Any, parameter: Any, todo: str | None) -> UsageError:
    """The error for the value of one option or argument: missing, or not of its type."""
    option = settings.option_of(parameter)
    name = option if option.startswith("-") else option.upper()
    if hasattr(mistake, "param_type"):
        command = "the command" if context is None else context.command_path
        described = getattr(parameter, "help", None)
        return UsageError(f"{command} needs {name}", expected=described and _plain(described), todo=todo)
    source = "" if context is None else settings.source_of(context, parameter)
    where = f" ({source})" if source.startswith(("environment", "file")) else ""
    errors = getattr(mistake.__cause__, "errors", None)  # typer's values are read by pydantic
    found = f"{name} is {errors()[0]['input']!r}" if errors is not None else f"{name}: {_plain(mistake.message)}"
    return UsageError(f"{found}{where}", expected=_described(parameter), todo=todo)


def _described(parameter: Any) -> str | None:
    """The values that an option takes, in words; None if there is no word for them."""
    kind = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)  # the latter in older typer
    choices = getattr(kind, "choices", None)
    if choices:
        return f"one of {', '.join(str(getattr(choice, 'value', choice)) for choice in choices)}"
    annotation, word = str(getattr(kind, "annotation", "")), str(getattr(kind, "name", ""))
    whole, broken = "int" in annotation or word.startswith("int"), "float" in annotation or word.startswith("float")
    noun = "a whole number" if whole else "a number" if broken else "true or false" if "bool" in annotation else None
    ends = [(end, getattr(parameter, limit, None)) for end, limit in (("at least", "min"), ("at most", "max"))]
    return noun and ", ".join([noun, *(f"{end} {number:g}" for end, number in ends if number is not None)])


def _plain(message: str) -> str:
    """A sentence as a clause: no capital, no period."""
    text = message.strip().rstrip(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
