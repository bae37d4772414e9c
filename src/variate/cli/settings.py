"""Where the value of an option comes from: the command line, the environment, a file, or its default; in this order.

The file is ``--config FILE``, or what ``VARIATE_CONFIG`` names, or ``variate.toml`` in the present folder. Its tables
are commands; what stands above them holds for every command that has such an option.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from variate.errors import UsageError, unknown_name

FILE, VARIABLE, PREFIX = "variate.toml", "VARIATE_CONFIG", "VARIATE"
ADDED: ContextVar[tuple[str, ...]] = ContextVar("ADDED", default=())  # what did not stand on the command line
NEEDED = "variate.needed"  # parameters that must be given where a command is run
OURS = ("config", "show_config", "help")  # parameters that are about the others
GIVEN = {"COMMANDLINE": "command line", "ENVIRONMENT": "environment, {variable}", "DEFAULT_MAP": "file {file}"}


def option_of(parameter: Any) -> str:
    """The long name of an option, with its dashes; the name of an argument."""
    return str(max(parameter.opts, key=len))


def variable_of(command: str, parameter: Any) -> str:
    """The environment variable of an option: ``VARIATE_TRAIN_BATCH_SIZE``."""
    return f"{PREFIX}_{command}_{option_of(parameter).removeprefix('--')}".replace("-", "_").upper()


def options_of(command: Any) -> dict[str, Any]:
    """The parameters of a command by the long name of their option, without its dashes."""
    named = [p for p in command.params if p.param_type_name == "option" and p.name not in OURS]
    return {option_of(parameter).removeprefix("--"): parameter for parameter in named}


def read(context: typer.Context, value: Path | None) -> Path | None:
    """Take the values of the file that holds for a command: the one given, or the one in the present folder, if any.

    Raises:
        UsageError: for what no command knows, in the file or in the environment.
    """
    if context.resilient_parsing or context.parent is None:  # a shell that completes; a command by itself
        return value
    _check_environment(context)
    path = value or (Path(FILE) if Path(FILE).is_file() else None)
    if path is not None:
        commands = context.parent.command.commands  # type: ignore[attr-defined]
        context.default_map = read_config(path, commands)[str(context.info_name)]
    return path


def ask_for_nothing(context: typer.Context, value: bool) -> bool:
    """Where the configuration is only shown, nothing must be given."""
    needed = [parameter for parameter in context.command.params if value and parameter.required]
    context.meta[NEEDED] = needed
    for parameter in needed:
        parameter.required = False

    def restore() -> None:
        for parameter in needed:
            parameter.required = True

    context.call_on_close(restore)
    return value


def read_config(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of a file by command and parameter. Raises ``UsageError`` for what no command knows.

    Args:
        path: of the TOML file.
        commands: the command line's commands by name.
    """
    content = _content(path)
    general = {name: value for name, value in content.items() if not isinstance(value, dict)}
    known = {name: options_of(command) for name, command in commands.items()}
    everywhere = {option for options in known.values() for option in options}
    for name in general:
        if _plain(name) not in everywhere:
            raise unknown_name(f"option in {path}", name, sorted(everywhere))
    for name, value in content.items():
        if isinstance(value, dict) and name not in known:
            raise unknown_name(f"command in {path}", name, list(known))
    found: dict[str, dict[str, Any]] = {}
    for command, options in known.items():
        mine = {name: value for name, value in general.items() if _plain(name) in options}
        for name, value in {**mine, **content.get(command, {})}.items():
            if _plain(name) not in options:
                raise unknown_name(f"option of {command} in {path}", name, list(options))
            parameter = options[_plain(name)]
            found.setdefault(command, {})[parameter.name] = _fitting(parameter, value, f"{name} of {command} in {path}")
    return {name: found.get(name, {}) for name in known}


def note_what_is_added(context: Any) -> None:
    """Remember what the environment and the file say, as words that a record of the command needs beside its own."""
    words: list[str] = []
    for parameter in context.command.params:
        if parameter.name not in OURS and _source(context, parameter) in ("ENVIRONMENT", "DEFAULT_MAP"):
            words += _words(parameter, context.params[parameter.name])
    ADDED.set(tuple(words))


def without(words: Sequence[str], option: str) -> list[str]:
    """A command line without an option that has a value."""
    left, kept = iter(words), []
    for word in left:
        if word == option:
            next(left, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def shown(context: Any) -> list[dict[str, Any]]:
    """Every option of a command with its value and where it comes from."""
    rows = []
    for parameter in context.command.params:
        if parameter.name in context.params and parameter.name not in OURS:
            value = _text(context.params[parameter.name])
            rows.append({"option": option_of(parameter), "value": value, "from": place_of(context, parameter)})
    return rows


def place_of(context: Any, parameter: Any) -> str:
    """Where the value of a parameter comes from."""
    needed = parameter in context.meta.get(NEEDED, ())
    place = GIVEN.get(_source(context, parameter), "required, not given" if needed else "default")
    return place.format(variable=variable_of(context.info_name, parameter), file=context.params.get("config"))


def _content(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} is no configuration: {error}", expected="a TOML file, a table for each command"
        ) from None


def _fitting(parameter: Any, value: Any, where: str) -> Any:
    """A value as the command line would have it: a list where an option may be repeated, and only there."""
    if parameter.multiple:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list | dict):
        raise UsageError(f"{where} is a {'list' if isinstance(value, list) else 'table'}", expected="one value")
    if isinstance(value, bool) != bool(parameter.is_flag):
        raise UsageError(f"{where} is {value!r}", expected="true or false" if parameter.is_flag else "a value")
    return value


def _check_environment(context: typer.Context) -> None:
    """Refuse variables of this command that are none of its options'."""
    command = str(context.info_name)
    known = [variable_of(command, parameter) for parameter in options_of(context.command).values()]
    for name in os.environ:
        if name.startswith(f"{PREFIX}_{command}_".upper()) and name not in known:
            raise unknown_name("environment variable", name, known)


def _source(context: Any, parameter: Any) -> str:
    source = context.get_parameter_source(parameter.name)
    return "" if source is None else str(source.name)


def _words(parameter: Any, value: Any) -> list[str]:
    """An option as it would be typed; nothing for a flag that is off and cannot be turned off."""
    option = option_of(parameter)
    if isinstance(value, bool):
        return [option] if value else [max(parameter.secondary_opts, key=len)] if parameter.secondary_opts else []
    values = value if isinstance(value, list | tuple) else [value]
    return [word for one in values for word in (option, str(_text(one)))]


def _text(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_text(one) for one in value]
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def _plain(name: str) -> str:
    return name.replace("_", "-")
