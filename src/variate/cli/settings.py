"""Option values from the command line, the environment, a file or the default, in this order.

The file is ``--config FILE``, or the value of ``VARIATE_CONFIG``, or ``variate.toml`` in the current folder. Its tables
are commands; values above the tables apply to every command that has the option.
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
ADDED: ContextVar[tuple[str, ...]] = ContextVar("ADDED", default=())  # options from the environment and the file
NEEDED = "variate.needed"  # required parameters, kept while --show-config lifts the requirement
OURS = ("config", "show_config", "help")  # parameters about configuration itself
SOURCES = {"COMMANDLINE": "command line", "ENVIRONMENT": "environment, {variable}", "DEFAULT_MAP": "file {file}"}


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
    """Load the option values of a command from its file: the given one, or the one in the current folder, if any.

    Raises:
        UsageError: for an unknown command or option in the file or the environment.
    """
    if context.resilient_parsing or context.parent is None:  # shell completion, or a command on its own
        return value
    _check_environment(context)
    path = value or (Path(FILE) if Path(FILE).is_file() else None)
    if path is not None:
        commands = context.parent.command.commands  # type: ignore[attr-defined]
        context.default_map = read_config(path, commands)[str(context.info_name)]
    return path


def lift_requirements(context: typer.Context, value: bool) -> bool:
    """Make no parameter required while the configuration is only shown."""
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
    """Read the values of a file by command and parameter. Raises ``UsageError`` for an unknown command or option.

    Args:
        path: TOML file.
        commands: commands by name.
    """
    content = _content(path)
    general = {name: value for name, value in content.items() if not isinstance(value, dict)}
    options_by_command = {name: options_of(command) for name, command in commands.items()}
    all_options = {option for options in options_by_command.values() for option in options}
    for name in general:
        if _plain(name) not in all_options:
            raise unknown_name(f"option in {path}", name, sorted(all_options))
    for name, value in content.items():
        if isinstance(value, dict) and name not in options_by_command:
            raise unknown_name(f"command in {path}", name, list(options_by_command))
    values: dict[str, dict[str, Any]] = {}
    for command, options in options_by_command.items():
        shared = {name: value for name, value in general.items() if _plain(name) in options}
        for name, value in {**shared, **content.get(command, {})}.items():
            if _plain(name) not in options:
                raise unknown_name(f"option of {command} in {path}", name, list(options))
            parameter = options[_plain(name)]
            values.setdefault(command, {})[parameter.name] = _command_line_value(
                parameter, value, f"{name} of {command} in {path}"
            )
    return {name: values.get(name, {}) for name in options_by_command}


def note_added_options(context: Any) -> None:
    """Remember options from the environment and the file, as words for the recorded command line."""
    words: list[str] = []
    for parameter in context.command.params:
        if parameter.name not in OURS and _source(context, parameter) in ("ENVIRONMENT", "DEFAULT_MAP"):
            words += _words(parameter, context.params[parameter.name])
    ADDED.set(tuple(words))


def without(words: Sequence[str], option: str) -> list[str]:
    """A command line without one option and its value."""
    remaining, kept = iter(words), []
    for word in remaining:
        if word == option:
            next(remaining, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def shown(context: Any) -> list[dict[str, Any]]:
    """Every option of a command with its value and its source."""
    rows = []
    for parameter in context.command.params:
        if parameter.name in context.params and parameter.name not in OURS:
            value = _text(context.params[parameter.name])
            rows.append({"option": option_of(parameter), "value": value, "from": source_of(context, parameter)})
    return rows


def source_of(context: Any, parameter: Any) -> str:
    """The source of a parameter's value, in words."""
    needed = parameter in context.meta.get(NEEDED, ())
    source = SOURCES.get(_source(context, parameter), "required, not given" if needed else "default")
    return source.format(variable=variable_of(context.info_name, parameter), file=context.params.get("config"))


def _content(path: Path) -> dict[str, Any]:
    from variate.files.toml import read_toml

    return read_toml(path, UsageError, expected="a configuration: a TOML file with a table for each command")


def _command_line_value(parameter: Any, value: Any, where: str) -> Any:
    """A value in command-line form: a list if and only if the option is repeatable."""
    if parameter.multiple:
        return value if isinstance(value, list) else [value]
    if isinstance(value, list | dict):
        raise UsageError(f"{where} is a {'list' if isinstance(value, list) else 'table'}", expected="one value")
    if isinstance(value, bool) != bool(parameter.is_flag):
        raise UsageError(f"{where} is {value!r}", expected="true or false" if parameter.is_flag else "a value")
    return value


def _check_environment(context: typer.Context) -> None:
    """Raise ``UsageError`` for an environment variable of this command that matches none of its options."""
    command = str(context.info_name)
    variables = [variable_of(command, parameter) for parameter in options_of(context.command).values()]
    for name in os.environ:
        if name.startswith(f"{PREFIX}_{command}_".upper()) and name not in variables:
            raise unknown_name("environment variable", name, variables)


def _source(context: Any, parameter: Any) -> str:
    source = context.get_parameter_source(parameter.name)
    return "" if source is None else str(source.name)


def _words(parameter: Any, value: Any) -> list[str]:
    """An option as typed on the command line; empty for a flag that is off and has no off switch."""
    option = option_of(parameter)
    if isinstance(value, bool):
        return [option] if value else [max(parameter.secondary_opts, key=len)] if parameter.secondary_opts else []
    values = value if isinstance(value, list | tuple) else [value]
    return [word for item in values for word in (option, str(_text(item)))]


def _text(value: Any) -> Any:
    """A value in a form that JSON can hold."""
    if isinstance(value, list | tuple):
        return [_text(item) for item in value]
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def _plain(name: str) -> str:
    return name.replace("_", "-")
