"""Write an evidence file: inputs, adversarial inputs, every answer, the network, and a page that says what they are."""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from variate.errors import DataError, RecordError, UsageError
from variate.evaluation.kept_inputs import FIRST, FOLDER, adversarial_in, originals_in
from variate.evidence import manifest as layout
from variate.evidence.manifest import DATA, MANIFEST, NETWORK, README, RECORDS, Manifest, Stored, hashed
from variate.evidence.readme import readme
from variate.files.reading import replace
from variate.hashing import fingerprint
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.find import find_records
from variate.records.groups import deployments_of, shown
from variate.records.rows import CLEAN, rows_of
from variate.training.saved import CARD, WEIGHTS, versions

PART = "table"  # the part of the records whose numbers are evidence; the others are twins and doubts
KEEP = "evaluate into a new folder with --keep-inputs MEGABYTES (keep_inputs in Python, in bytes)"


def write_evidence(run: str | Path, out: str | Path, *, network: bool = True) -> Manifest:
    """Write the evidence for what was measured in a run folder into one archive, which ``variate.verify`` judges again.

    It holds the original inputs and the adversarial ones, as ``.npz`` files that ``--data`` reads; every answer, seed
    and version; the network, if the folder is of one that ``variate train`` saved, or its fingerprint alone; the
    SHA-256 of every file; and a page with sample sizes, intervals, budgets and assumptions.

    Args:
        run: folder of an evaluation with ``keep_inputs``, of one network.
        out: the archive, a ``.zip`` file.
        network: whether to include the saved network.

    Returns:
        The manifest of the archive.

    Raises:
        UsageError: for a folder with several networks, or whose inputs were not kept.
        RecordError: if the records or the inputs cannot be read.
        DataError: if the archive cannot be written.
    """
    file = find_records(Path(run))
    if file.suffix == ".gz":
        raise UsageError(f"{file} is compressed", todo="unpack it first")
    records, folder, path = Records(file), file.parent, Path(out)
    claims = shown(records, PART)
    name = _one_network(claims, file)
    members, originals, stored = _inputs_of(records, claims, folder / FOLDER)
    members[RECORDS] = file.read_bytes()
    saved = network and (folder / CARD).is_file()
    if saved:
        members |= {f"{NETWORK}{part}": (folder / part).read_bytes() for part in (CARD, WEIGHTS)}
    manifest = Manifest(
        date=datetime.now(UTC).date().isoformat(),
        network=name,
        fingerprint=claims[0].fingerprint,
        saved=saved,
        versions={key: value for run_line in records.runs for key, value in run_line.versions.items()},
        written_with=versions(),
        commands=list(dict.fromkeys(run_line.command for run_line in records.runs)),
        seeds=sorted({claim.seed for claim in claims}),
        data=list(dict.fromkeys(run_line.data for run_line in records.runs)),
        rates=rates_of(records),
        originals=originals,
        stored=stored,
        members={},
    )
    members = {README: readme(manifest, records).encode(), **members}
    manifest.members = {name: hashed(io.BytesIO(content)) for name, content in members.items()}
    members[MANIFEST] = (manifest.model_dump_json(indent=2) + "\n").encode()
    replace(path, lambda partial: _zip(members, partial), DataError, todo="choose another --out, or free disk space")
    return manifest


def rates_of(records: Records) -> list[dict[str, Any]]:
    """The rates that the records show, in JSON values, with the draws of the verdict and the seed."""
    return [
        {
            **{key: value for key, value in asdict(row).items() if key not in ("winners", "part")},
            "claim": claim.id,
            "verdict_draws": claim.verdict_draws,
            "seed": claim.seed,
        }
        for claim in shown(records, PART)
        for row in rows_of(records, claim)
        if row.deployment in deployments_of(records, claim)
    ]


def _one_network(claims: list[Claim], file: Path) -> str:
    names = list(dict.fromkeys(claim.network for claim in claims))
    if len(names) != 1:
        raise UsageError(
            f"{file} holds {'several networks' if names else 'no evaluation of a network'}",
            findings=names,
            expected="a folder with the evaluation of one network, written by `variate evaluate` or `variate audit`",
        )
    return names[0]


def _inputs_of(
    records: Records, claims: list[Claim], folder: Path
) -> tuple[dict[str, bytes], dict[str, layout.Originals], list[Stored]]:
    """The files of inputs by member, what the originals are, and where the adversarial inputs of each claim are."""
    members: dict[str, bytes] = {}
    originals: dict[str, layout.Originals] = {}
    labels: dict[str, NDArray[Any]] = {}
    stored: list[Stored] = []
    for claim in claims:
        if claim.attack == CLEAN:
            continue
        source, found = adversarial_in(folder, claim)
        judged = sorted(records.examples[claim.id])
        kept = found.get(FIRST, {})
        if judged != list(range(claim.asked or len(judged))):
            raise UsageError(
                f"{claim.attack} at {claim.budget} is unfinished: {len(judged)} of {claim.asked} examples",
                todo="run the same evaluation again to continue",
            )
        missing = sum(index not in kept for index in judged)
        if missing:
            raise UsageError(
                f"{missing} of {len(judged)} inputs judged under {claim.attack} at {claim.budget} were not kept",
                todo=KEEP,
            )
        member = _member(source)
        if member not in originals:
            _add_originals(folder / source, members, originals, labels)
        for deployment, rows in found.items():
            own = {index: rows.get(index, kept[index]) for index in judged}
            name = f"{DATA}{_plain(claim.attack)}-{_plain(deployment)}-{claim.id}.npz"
            members[name] = _npz(np.stack([own[index].numpy() for index in judged]), labels[member][: len(judged)])
            facts = {"claim": claim.id, "attack": claim.attack, "budget": str(claim.budget)}
            stored.append(Stored(**facts, deployment=deployment, member=name, originals=member))
    if not stored:
        raise UsageError("no attack of this evaluation kept its inputs", todo=KEEP)
    return members, originals, stored


def _add_originals(
    path: Path,
    members: dict[str, bytes],
    originals: dict[str, layout.Originals],
    labels: dict[str, NDArray[Any]],
) -> None:
    """Add a file of original inputs. Raises ``RecordError`` if it was changed since it was written."""
    kept, name = originals_in(path), _member(path.name)
    if not path.name.startswith(f"originals-{fingerprint([kept.x, kept.y])}-"):
        raise RecordError(f"{path} is not what was written", todo=KEEP)
    x, labels[name] = _array(kept.x), _array(kept.y)
    members[name] = _npz(x, labels[name])
    originals[name] = layout.Originals(
        inputs=kept.inputs, modality=kept.modality, details=dict(kept.details), task=kept.task, examples=len(x)
    )


def _member(file: str) -> str:
    return f"{DATA}{Path(file).stem}.npz"


def _plain(name: str) -> str:
    """The name of an attack or a deployment as a part of a file name."""
    return "".join(letter if letter.isalnum() or letter == "-" else "-" for letter in name)[:60]


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.numpy()
    return array


def _npz(x: NDArray[Any], y: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, x=x, y=y)
    return file.getvalue()


def _zip(members: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
