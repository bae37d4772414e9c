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
    """Tell what this installation is made of: versions, devices, who makes the noise, extras, and which data is there.

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
    """What there is, by name; data sets are looked for in a folder, or where they usually are."""
    import torch

    from variate._version import __version__
    from variate.random.noise import native

    found = {
        "variate": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    extras = required()
    found |= {package: _version(package) for package in extras.pop("")}
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found["threads"] = f"{torch.get_num_threads()} of {os.cpu_count()} cores"
    found["accelerators"] = ", ".join(cards) or "none"
    found["sampler"] = native.describe()
    found |= {f"extra {extra}": _extra(extra, packages) for extra, packages in extras.items() if extra != "dev"}
    return found | {f"data {name}": state for name, state in _data(data_folder).items()}


def required() -> dict[str, list[str]]:
    """The packages that each extra needs, as the installed metadata say; those that all need under no name."""
    from importlib.metadata import requires

    found: dict[str, list[str]] = {"": []}
    for line in requires("variate") or []:
        match = REQUIREMENT.match(line)
        if match is not None:
            found.setdefault(match.group(2) or "", []).append(match.group(1))
    return found


def _extra(extra: str, packages: list[str]) -> str:
    missing = [package for package in packages if _version(package) == MISSING]
    if missing:
        return f"{', '.join(missing)} missing: pip install 'variate[{extra}]'"
    return ", ".join(f"{package} {_version(package)}" for package in packages)


def _data(folder: Path | None) -> dict[str, str]:
    """Which data sets are found in a folder, or without being told where they are; nothing is fetched."""
    from variate import registry
    from variate.errors import VariateError

    told = {}
    for name, entry in registry.entries("datasets").items():
        load = entry.load()
        place = folder or getattr(sys.modules[entry.module], "default_folder", lambda: UNKNOWN)()
        if place is None:
            told[name] = "not on this machine"
            continue
        try:
            count = f"{len(load('test', folder=folder)[1]):,} test examples"
            told[name] = count if place is UNKNOWN else f"{count} in {place}"
        except VariateError as error:
            told[name] = f"not found: {error.problem}"
    return told


UNKNOWN = Path()  # of a data set that comes with a package, or does not tell where it is
MISSING = "not installed"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return MISSING
