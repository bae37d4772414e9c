"""The page of the command line, generated from the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from variate.cli.main import app
from variate.cli.settings import OURS, option_of

HEAD = """# The command line

This page is generated from the commands (`python -m docs.generate.site`);
`variate COMMAND -h` says the same.

## Where values come from

The value of an option is that of the command line; without it that of the environment, `VARIATE_COMMAND_OPTION`
(`VARIATE_TRAIN_BATCH_SIZE`; several values with spaces between them); without it that of a file; without it its
default. The file is `--config FILE`, or the one that `VARIATE_CONFIG` names, or `variate.toml` in the present folder.
What stands above its tables holds for every command that has such an option:

```toml
seed = 3
accelerator = "cpu"

[train]
network = "lenet"
epochs = 20

[evaluate]
deployment = ["single", "mean-16"]
quiet = true
```

A name that no command knows, in the file or in the environment, is an error. Every command has these options too:

"""
TAIL = """
The command that the records keep holds what the environment and the file added, so that it repeats the run without
them.

## Exit codes, errors, output

0 is done; 1: something is missing, damaged or failed; 2: the command cannot be meant like this; 130: stopped by Ctrl-C.
An error says what was found, what was expected and what to do. Progress goes to standard error, as a bar on a terminal
and as a line every ten seconds elsewhere; results go to standard output, as one JSON document with `--json`.

## Completion

`variate --install-completion` completes commands, options, and the names of data sets, networks, defenses, objectives,
families, attacks, suites, norms and studies in bash, zsh, fish and PowerShell; `variate --show-completion` prints the
script.
"""


def reference() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    commands = root.commands
    first = next(iter(commands.values()))
    shared = [parameter for parameter in first.params if parameter.name in OURS]
    parts = [HEAD + _table(shared) + TAIL, "## variate\n", _usage("variate COMMAND", root), _table(root.params)]
    for name, command in commands.items():
        own = [parameter for parameter in command.params if parameter.name not in OURS]
        shown = "\n".join(examples(command))
        parts += [f"## variate {name}\n", f"{command.help.strip()}\n", _usage(f"variate {name}", command), _table(own)]
        parts.append(f"```sh\n{shown}\n```\n")
    return "\n".join(parts).rstrip() + "\n"


def examples(command: Any) -> list[str]:
    """The example commands in a command's help."""
    lines = [line.strip() for line in (command.epilog or "").splitlines()]
    return [line for line in lines if line.startswith("variate ")]


def _usage(start: str, command: Any) -> str:
    """What must be given, in one line."""
    words = [start]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper() + ("..." if parameter.nargs < 0 else "")
            words.append(name if parameter.required else f"[{name}]")
        elif parameter.required:
            words.append(f"{option_of(parameter)} {parameter.name.upper()}")
    return f"    {' '.join([*words, '[OPTIONS]'])}\n"


def _table(parameters: Sequence[Any]) -> str:
    lines = ["| option | | default |", "| :-- | :-- | :-- |"]
    for parameter in parameters:
        names = [*parameter.opts, *parameter.secondary_opts]
        shown = ", ".join(f"`{name}`" for name in names) if parameter.param_type_name == "option" else names[0].upper()
        required = "required" if parameter.required else _default(parameter)
        lines.append(f"| {shown} | {_cell(getattr(parameter, 'help', None))} | {required} |")
    return "\n".join(lines) + "\n"


def _default(parameter: Any) -> str:
    value = parameter.default
    value = getattr(value, "value", value)
    if isinstance(value, list):
        return ", ".join(f"`{one}`" for one in value)
    return "" if value is None or value is False or value == [] or callable(value) else f"`{value}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")
