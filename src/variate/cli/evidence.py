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
    datasets: Annotated[
        Path | None,
        typer.Option(help="Folder to write, too: the inputs for `datasets.load_dataset` and the Hugging Face Hub."),
    ] = None,
    config: Config = None,
    show_config: ShowConfig = False,
    json: Json = False,
) -> None:
    """Write the evidence for an evaluation into one archive: inputs, answers, seeds, versions, hashes, the network.

    Adversarial inputs are kept only on request: evaluate or audit with --keep-inputs.

    Examples:
      variate evidence runs/a --out evidence.zip
      variate evidence runs/mine --out evidence.zip --no-network --json
      variate evidence runs/a --out evidence.zip --datasets inputs-of-a
    """
    from variate.evidence.hub_folder import library_for, write_hub_folder
    from variate.evidence.manifest import hashed
    from variate.evidence.write import write_evidence

    if datasets is not None:
        library_for(datasets)
    manifest = write_evidence(run, out, network=network)
    names = [] if datasets is None else write_hub_folder(out, datasets)
    with out.open("rb") as file:
        whole = hashed(file)
    if json:
        facts = {"file": str(out), "sha256": whole.sha256, "bytes": whole.bytes, "datasets": names}
        print_json({**facts, **manifest.model_dump()})
        return
    typer.echo(
        f"{out}: {len(manifest.members)} files, {len(manifest.rates)} rates, "
        f"{'with' if manifest.saved else 'without'} the network, {whole.bytes:,} bytes"
    )
    if names:
        typer.echo(f"{datasets}: {len(names)} data sets for datasets.load_dataset, originals first: {', '.join(names)}")
    typer.echo(f"SHA-256 {whole.sha256} (keep it elsewhere: it shows whether the archive was replaced)")
