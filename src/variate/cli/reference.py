"""The page of the command line, made from the commands: ``python -m variate.cli.reference > docs/cli.md``."""

from __future__ import annotations

import re
import sys
from typing import Any

import typer

HEAD = """# The command line

This page is made from the commands (`python -m variate.cli.reference`). `variate COMMAND -h` says the same.

## Where values come from

The value of an option is that of the command line; without it that of the environment, `VARIATE_COMMAND_OPTION`;
without it that of a file; without it its default. The file is `--config FILE`, or the one that `VARIATE_CONFIG` names,
or `variate.toml` in the present folder. What stands above its tables holds for every command that has such an option:

```toml
seed = 3
accelerator = "cpu"

[train]
network = "lenet"
epochs = 20

[evaluate]
deployment = ["single", "mean-16"]
```

`variate --show-config train --data digits --out runs/a` prints every option with its value and where it comes from. The
command that the records keep holds what the environment and the file added.

## Exit codes, errors, output

0 is done; 1: something is missing, damaged or failed; 2: the command cannot be meant like this; 130: stopped by Ctrl-C.
An error says what was found, what was expected and what to do. Progress goes to standard error, as a bar on a terminal
and as a line every ten seconds elsewhere; results go to standard output, as one JSON document with `--json`.

## Completion

`variate --install-completion` completes commands, options, and the names of data sets, networks, defenses, objectives,
attacks, suites and studies in bash, zsh, fish and PowerShell; `variate --show-completion` prints the script.
"""
EXAMPLE = re.compile(r"^Examples?: (variate .*)", re.M | re.S)


def reference() -> str:
    """The whole page."""
    from variate.cli.main import app

    root = typer.main.get_command(app)
    parts = [HEAD, "## variate\n", _options(root)]
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        parts += [f"## variate {name}\n", _described(command), _options(command)]
    return "\n".join(parts).rstrip() + "\n"


def examples(command: Any) -> list[str]:
    """The example commands in a command's help."""
    match = EXAMPLE.search(command.help or "")
    return [] if match is None else [line.strip() for line in match.group(1).splitlines() if line.strip()]


def _described(command: Any) -> str:
    text = EXAMPLE.sub("", command.help or "").strip()
    shown = "\n".join(examples(command))
    return f"{text}\n\n```sh\n{shown}\n```\n"


def _options(command: Any) -> str:
    lines = ["| option | | default |", "| :-- | :-- | :-- |"]
    for parameter in command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        shown = ", ".join(f"`{name}`" for name in names) if parameter.param_type_name == "option" else names[0].upper()
        required = "required" if parameter.required else _default(parameter)
        lines.append(f"| {shown} | {_cell(getattr(parameter, 'help', None))} | {required} |")
    return "\n".join(lines) + "\n"


def _default(parameter: Any) -> str:
    value = parameter.default
    value = getattr(value, "value", value)
    return "" if value is None or value is False or value == [] or callable(value) else f"`{value}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
