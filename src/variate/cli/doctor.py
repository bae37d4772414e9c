"""``variate doctor``."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

import typer

from variate.cli.options import Config, DataFolder, Json, ShowConfig, print_json

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;.*extra\s*==\s*['\"]([\w-]+)['\"])?")


def doctor(
    data_folder: DataFolder = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Show the installation: versions, devices, the active sampler, extras, and the available data sets.

    Examples:
      variate doctor
      variate doctor --json
    """
    facts = examine(data_folder)
    if json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:{width}}  {value}")


def examine(data_folder: Path | None = None) -> dict[str, str]:
    """The facts of the installation by name; data sets are looked for in a folder, or in their default folders."""
    import torch

    from variate._version import __version__
    from variate.random.noise import native

    facts = {
        "variate": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    extras = required()
    facts |= {package: _version(package) for package in extras.pop("")}
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    facts["accelerators"] = ", ".join(gpus) or "none"
    facts["sampler"] = native.describe()
    facts |= {f"extra {extra}": _extra(extra, packages) for extra, packages in extras.items() if extra != "dev"}
    return facts | {f"data {name}": state for name, state in _data(data_folder).items()}


def required() -> dict[str, list[str]]:
    """The packages that each extra needs, from the installed metadata; required ones under the empty name."""
    from importlib.metadata import requires

    packages: dict[str, list[str]] = {"": []}
    for line in requires("variate") or []:
        match = REQUIREMENT.match(line)
        if match is not None:
            packages.setdefault(match.group(2) or "", []).append(match.group(1))
    return packages


def _extra(extra: str, packages: list[str]) -> str:
    missing = [package for package in packages if _version(package) == MISSING]
    if missing:
        return f"{', '.join(missing)} missing: pip install 'variate[{extra}]'"
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _data(folder: Path | None) -> dict[str, str]:
    """The state of every data set, in a folder or in its default folder; nothing is downloaded."""
    from variate import registry
    from variate.errors import VariateError

    states = {}
    for name, entry in registry.entries("datasets").items():
        load = entry.load()
        location = folder or getattr(sys.modules[entry.module], "default_folder", lambda: UNKNOWN)()
        if location is None:
            states[name] = "not on this machine"
            continue
        try:
            count = f"{len(load('test', folder=folder)[1]):,} test examples"
            states[name] = count if location is UNKNOWN else f"{count} in {location}"
        except VariateError as error:
            states[name] = f"not found: {error.problem}"
    return states


UNKNOWN = Path()  # folder of a data set that comes with a package, or has no default folder
MISSING = "not installed"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING
