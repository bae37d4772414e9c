"""The command-line page, generated from the commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from variate.cli.main import app
from variate.cli.settings import OURS, option_of

HEAD = """# The command line

This page is generated from the commands (`python -m docs.generate.site`);
`variate COMMAND -h` prints the same.

## Where values come from

The value of an option comes from the first of these that sets it: the command line; the environment variable
`VARIATE_COMMAND_OPTION` (such as `VARIATE_TRAIN_BATCH_SIZE`; separate several values with spaces); the configuration
file; the default. The configuration file is `--config FILE`, the one named by `VARIATE_CONFIG`, or `variate.toml` in
the current folder. Values above the first table of the file apply to every command that has the option:

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

An unknown name in the file or the environment is an error. Every command also has these options:

"""
TAIL = """
The command stored in the records includes the values from the environment and the file, so that it repeats the run
without them.

## Exit codes, errors, output

The exit code is 0 for success, 1 if something is missing, damaged or failed, 2 for a usage error, 3 if a requirement
(`--require`) is not met or a number of an evidence file does not hold, and 130 after Ctrl-C.
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
    """The usage line: required arguments and options."""
    words = [start]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = parameter.name.upper() + ("..." if parameter.nargs < 0 else "")
            words.append(name if parameter.required else f"[{name}]")
        elif parameter.required:
            words.append(f"{option_of(parameter)} {parameter.name.upper()}")
    return f"    {' '.join([*words, '[OPTIONS]'])}\n"


def _table(parameters: Sequence[Any]) -> str:
    lines = ["| option | meaning | default |", "| :-- | :-- | :-- |"]
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
