"""``variate check``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from variate.cli.from_fields import names
from variate.cli.options import Config, Json, ShowConfig, print_json
from variate.cli.own_module import build
from variate.errors import RandomizeError, UsageError

if TYPE_CHECKING:
    from variate.random.inspection import Check


def check(
    module: Annotated[str, typer.Argument(help="module:callable that returns a torch.nn.Module.")],
    family: Annotated[
        list[str] | None,
        typer.Option(
            help="Family of all parameters, or PATTERN:FAMILY, such as '*.bias:fixed'. Repeatable.",
            autocompletion=names("families"),
        ),
    ] = None,
    share: Annotated[
        str,
        typer.Option(
            help="Share one scale per element, channel, tensor or network.",
            autocompletion=names("", "element", "channel", "tensor", "network"),
        ),
    ] = "element",
    floor: Annotated[float, typer.Option(help="Smallest scale, as a fraction of the tensor's root mean square.")] = 0.0,
    snr: Annotated[float, typer.Option(help="Signal-to-noise ratio that every tensor is held at; 0: none.")] = 0.0,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Show which parameters of a module would be random, which would not and why, and the cost of one draw.

    Examples:
      variate check torch.nn:Transformer --family '*.bias:fixed'
      variate check mine:network --family laplace --share channel --json
    """
    from variate.random import inspection as checks

    result = checks.check(build(module), family=families(family or []), share=share, floor=floor, snr=snr)  # type: ignore[arg-type]
    if json:
        print_json(result.as_json())
    else:
        show(result)
    if result.findings:
        raise RandomizeError(f"{result.module} cannot be made random", findings=result.findings)


def families(words: list[str]) -> str | dict[str, str]:
    """Parse one family for all parameters, or a mapping from patterns. Raises ``UsageError``."""
    if not words:
        return "normal"
    if len(words) == 1 and ":" not in words[0]:
        return words[0]
    if any(":" not in word for word in words):
        raise UsageError(
            "a family for all parameters cannot be combined with patterns",
            expected="PATTERN:FAMILY for each; '*' matches all",
        )
    return dict(word.rsplit(":", 1) for word in words)


def show(result: Check) -> None:
    """Print the result of a check."""
    width = max((len(" = ".join(p.names)) for p in result.random), default=0)
    for parameter in result.random:
        shape = " x ".join(map(str, parameter.shape)) or "scalar"
        typer.echo(
            f"{' = '.join(parameter.names):{width}}  {shape:>20}  {parameter.family}, {parameter.learned:,} learned"
        )
    for name, reason in result.deterministic.items():
        typer.echo(f"{name:{width}}  deterministic: {reason}")
    if result.buffers:
        typer.echo(f"{len(result.buffers)} buffers are not parameters and stay unchanged, such as {result.buffers[0]}")
    if result.cost is not None:
        elements = sum(math.prod(p.shape) for p in result.random)
        learned = sum(p.learned for p in result.random)
        typer.echo(
            f"{elements:,} random parameters in {len(result.random)} tensors, {learned:,} learned beside them; "
            f"one draw: {result.cost.milliseconds:g} ms, {result.cost.bytes / 1e6:.3g} MB ({result.cost.sampler}); "
            f"stored in {result.cost.stored / 1e6:.3g} MB"
        )
