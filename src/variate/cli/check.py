"""``variate check``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.evaluation_command import build
from variate.cli.from_fields import names
from variate.cli.options import Config, Json, ShowConfig, print_json
from variate.errors import RandomizeError, UsageError

if TYPE_CHECKING:
    from variate.random.inspection import Check


def check(
    module: Annotated[str, typer.Argument(help="module:callable that returns a torch.nn.Module.")],
    family: Annotated[
        list[str] | None,
        typer.Option(
            help="A family for all, or PATTERN:FAMILY, such as '*.bias:fixed'. Repeatable.",
            autocompletion=names("families"),
        ),
    ] = None,
    share: Annotated[
        str,
        typer.Option(
            help="element, channel, tensor or network.",
            autocompletion=names("", "element", "channel", "tensor", "network"),
        ),
    ] = "element",
    floor: Annotated[float, typer.Option(help="The least scale, as a fraction of each tensor's size.")] = 0.0,
    snr: Annotated[float, typer.Option(help="Signal-to-noise ratio at which every tensor is held; 0: none.")] = 0.0,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Tell what would be random in a module, what would not and why, and what one draw costs.

    Examples:
      variate check torch.nn:Transformer --family '*.bias:fixed'
      variate check mine:network --family laplace --share channel --json
    """
    from variate.random import inspection as checks

    found = checks.check(build(module), families(family or []), share=share, floor=floor, snr=snr)  # type: ignore[arg-type]
    if json:
        print_json(found.as_json())
    else:
        show(found)
    if found.findings:
        raise RandomizeError(f"{found.module} cannot be made random", findings=found.findings)


def families(words: list[str]) -> str | dict[str, str]:
    """One family for all, or a mapping from patterns. Raises ``UsageError``."""
    if not words:
        return "normal"
    if len(words) == 1 and ":" not in words[0]:
        return words[0]
    if any(":" not in word for word in words):
        raise UsageError(
            "a family for all cannot stand beside patterns", expected="PATTERN:FAMILY for each; '*' is all"
        )
    return dict(word.rsplit(":", 1) for word in words)


def show(found: Check) -> None:
    """Print what was found."""
    width = max((len(" = ".join(p.names)) for p in found.random), default=0)
    for parameter in found.random:
        shape = " x ".join(map(str, parameter.shape)) or "scalar"
        typer.echo(
            f"{' = '.join(parameter.names):{width}}  {shape:>20}  {parameter.family}, {parameter.learned:,} learned"
        )
    for name, why in found.deterministic.items():
        typer.echo(f"{name:{width}}  deterministic: {why}")
    if found.buffers:
        typer.echo(f"{len(found.buffers)} buffers are no parameters and stay as they are, such as {found.buffers[0]}")
    if found.cost is not None:
        elements = sum(math.prod(p.shape) for p in found.random)
        learned = sum(p.learned for p in found.random)
        typer.echo(
            f"{elements:,} random parameters in {len(found.random)} tensors, {learned:,} learned beside them; "
            f"one draw: {found.cost.milliseconds:g} ms, {found.cost.bytes / 1e6:.3g} MB ({found.cost.sampler})"
        )
