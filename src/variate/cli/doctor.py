"""``variate doctor``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from variate.cli.options import Json, print_json

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "lightning-fabric", "safetensors")
OPTIONAL = ("transformers", "timm", "triton")


def doctor(json: Json = False) -> None:
    """Tell what this installation is made of: versions, devices, and who makes the noise.

    Example: variate doctor
    """
    facts = examine()
    if json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:{width}}  {value}")


def examine() -> dict[str, str]:
    """What there is, by name."""
    import torch

    import variate
    from variate.samplers import native

    found = {
        "variate": variate.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    found |= {package: _version(package) for package in (*PACKAGES, *OPTIONAL)}
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found["threads"] = str(torch.get_num_threads())
    found["accelerators"] = ", ".join(cards) or "none"
    found["sampler"] = native.describe()
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed (optional)" if package in OPTIONAL else "not installed"
