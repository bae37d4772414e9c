"""``variate evidence``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from variate.cli.options import Config, Json, ShowConfig, print_json


def evidence(
    run: Annotated[Path, typer.Argument(help="Folder of an evaluation with --keep-inputs.")],
    out: Annotated[Path, typer.Option(help="Archive to write, a .zip file.")],
    network: Annotated[
        bool,
        typer.Option(help="Include the network, if `variate train` saved one in the folder; else its fingerprint."),
    ] = True,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Write the evidence for an evaluation into one archive: inputs, answers, seeds, versions, hashes, the network.

    Adversarial inputs are kept only on request: evaluate or audit with --keep-inputs.

    Examples:
      variate evidence runs/a --out evidence.zip
      variate evidence runs/mine --out evidence.zip --no-network --json
    """
    from variate.evidence.manifest import hashed
    from variate.evidence.write import write_evidence

    manifest = write_evidence(run, out, network=network)
    with out.open("rb") as file:
        whole = hashed(file)
    if json:
        print_json({"file": str(out), "sha256": whole.sha256, "bytes": whole.bytes, **manifest.model_dump()})
        return
    typer.echo(
        f"{out}: {len(manifest.members)} files, {len(manifest.rates)} rates, "
        f"{'with' if manifest.saved else 'without'} the network, {whole.bytes:,} bytes"
    )
    typer.echo(f"SHA-256 {whole.sha256} (keep it elsewhere: it shows whether the archive was replaced)")
