"""Where the value of an option comes from: the command line, the environment, a file, or its default; in this order.

The file is ``--config FILE``, or what ``VARIATE_CONFIG`` names, or ``variate.toml`` in the present folder. Its tables
are commands; what stands above them holds for every command that has such an option.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import Any

from variate.errors import UsageError, unknown_name

FILE, VARIABLE, PREFIX = "variate.toml", "VARIATE_CONFIG", "VARIATE"
ADDED: ContextVar[tuple[str, ...]] = ContextVar("ADDED", default=())  # what did not stand on the command line


def config_file(given: Path | None) -> Path | None:
    """The file that holds: the given one, that of the environment, or the one in the present folder, if any."""
    if given is not None:
        return given
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(FILE) if Path(FILE).is_file() else None


def read_config(path: Path, commands: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of a file by command and parameter. Raises ``UsageError`` for what no command knows.

    Args:
        path: of the TOML file.
        commands: the command line's commands by name.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} is no configuration: {error}", expected="a TOML file, a table for each command"
        ) from None
    general = {name: value for name, value in content.items() if not isinstance(value, dict)}
    known = {name: options_of(command) for name, command in commands.items()}
    everywhere = {option for options in known.values() for option in options}
    for name in general:
        if _plain(name) not in everywhere:
            raise unknown_name(f"option in {path}", name, sorted(everywhere))
    found: dict[str, dict[str, Any]] = {}
    for name, table in content.items():
        if isinstance(table, dict) and name not in known:
            raise unknown_name(f"command in {path}", name, list(known))
    for command, options in known.items():
        found[command] = {options[_plain(n)]: value for n, value in general.items() if _plain(n) in options}
        for name, value in content.get(command, {}).items():
            if _plain(name) not in options:
                raise unknown_name(f"option of {command} in {path}", name, list(options))
            found[command][options[_plain(name)]] = value
    return found


def options_of(command: Any) -> dict[str, str]:
    """The parameters of a command by the long name of their option, without its dashes."""
    named = {max(p.opts, key=len): p.name for p in command.params if p.param_type_name == "option" and p.name != "help"}
    return {option.removeprefix("--"): name for option, name in named.items()}


def note_what_is_added(context: Any) -> None:
    """Remember what the environment and the file say, as words that a record of the command needs beside its own."""
    words: list[str] = []
    for parameter in context.command.params:
        if _source(context, parameter.name) in ("ENVIRONMENT", "DEFAULT_MAP"):
            words += _words(parameter, context.params[parameter.name])
    ADDED.set(tuple(words))


def shown(context: Any, path: Path | None) -> list[dict[str, Any]]:
    """Every option of a command with its value and where it comes from."""
    places = {"COMMANDLINE": "command line", "DEFAULT_MAP": f"file {path}"}
    rows = []
    for parameter in context.command.params:
        if parameter.name in context.params:
            source = _source(context, parameter.name)
            variable = f"environment, {PREFIX}_{context.info_name.upper()}_{parameter.name.upper()}"
            place = variable if source == "ENVIRONMENT" else places.get(source, "default")
            value = _text(context.params[parameter.name])
            rows.append({"option": max(parameter.opts, key=len), "value": value, "from": place})
    return rows


def _source(context: Any, name: str) -> str:
    source = context.get_parameter_source(name)
    return "" if source is None else str(source.name)


def _words(parameter: Any, value: Any) -> list[str]:
    """An option as it would be typed."""
    option = max(parameter.opts, key=len)
    if isinstance(value, bool):
        return [option if value else max(parameter.secondary_opts, key=len, default=option)]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for one in values for word in (option, str(_text(one)))]


def _text(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_text(one) for one in value]
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def _plain(name: str) -> str:
    return name.replace("_", "-")
