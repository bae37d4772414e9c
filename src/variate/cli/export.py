"""``variate export``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Config, Json, ShowConfig, TrustCode, print_json


class NoiseMaker(StrEnum):
    """Who makes the noise of an exported graph."""

    graph = "graph"
    input = "input"


class ExportFormat(StrEnum):
    """The formats that a network is exported to."""

    onnx = "onnx"
    torch_export = "torch-export"


def export(
    run: Annotated[Path, typer.Argument(help="Folder that `variate train` wrote.")],
    out: Annotated[Path, typer.Option(help="File to write: .onnx or .pt2.")],
    form: Annotated[
        ExportFormat, typer.Option("--format", help="onnx, or torch-export for torch.export.load.")
    ] = ExportFormat.onnx,
    draws: Annotated[int, typer.Option(min=1, help="Number of fresh draws that every call averages over.")] = 1,
    noise: Annotated[
        NoiseMaker,
        typer.Option(help="graph: the graph makes its noise; input: it takes drawn parameters, much faster (onnx)."),
    ] = NoiseMaker.graph,
    mean: Annotated[bool, typer.Option("--mean", help="Export the mean network, which is deterministic.")] = False,
    key: Annotated[int | None, typer.Option(help="Export the draw of this key, which is deterministic.")] = None,
    trust_code: TrustCode = False,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Export a trained network as a graph that runs without Variate and uses fresh draws at every call.

    Examples:
      variate export runs/a --format onnx --out a.onnx
      variate export runs/a --noise input --out a.onnx
      variate export runs/a --format torch-export --draws 8 --out a.pt2
    """
    from variate.inputs.modality import modality_of
    from variate.serving import exporting
    from variate.training import saved as checkpoint

    card = checkpoint.read_card(run)
    network = checkpoint.load(run, trust_code=trust_code)
    example = modality_of(card.kind, card.details).example(card.shape)
    written = exporting.export(
        network, out, example, format=form.value, draws=draws, noise=noise.value, mean=mean, key=key
    )
    if json:
        print_json(asdict(written))
        return
    kind = "fresh draws at every call" if written.random else "deterministic"
    batch = "batches of any size" if written.batch is None else f"batches of {written.batch}"
    typer.echo(f"{written.path}: {kind}, {batch}")
