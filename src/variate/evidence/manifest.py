"""The manifest of an evidence file: what it holds, with the hash of every member."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import IO, Any, Literal
from zipfile import ZipFile

from pydantic import BaseModel, ConfigDict, ValidationError

from variate.errors import DataError
from variate.files.reading import reading, unzipping
from variate.files.toml import findings_of

MANIFEST, README, RECORDS = "manifest.json", "README.md", "records.jsonl"
NETWORK, DATA = "network/", "data/"  # folders of members
NAME = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*")  # of a member: at most one folder, nothing hidden and no ..
EXPECTED = "an archive that `variate evidence` wrote"
PIECE = 2**20  # bytes hashed at a time
LARGEST = 2**26  # bytes of a manifest


class Part(BaseModel):
    """One part of a manifest."""

    model_config = ConfigDict(extra="forbid")


class Member(Part):
    """One file of the archive: its SHA-256 and its length in bytes."""

    sha256: str
    bytes: int


class Originals(Part):
    """Original inputs: the hash in the records, and what the inputs and labels mean."""

    inputs: str
    modality: str
    details: dict[str, Any]
    task: str
    examples: int


class Stored(Part):
    """Adversarial inputs of one claim.

    Attributes:
        claim: id of the claim.
        attack, budget: for the reader.
        deployment: ``Deployment.source`` that they were found for; ``first`` for all that have none of their own.
        member: their file.
        originals: file of the original inputs, in the same order.
    """

    claim: str
    attack: str
    budget: str
    deployment: str
    member: str
    originals: str


class Manifest(Part):
    """What an evidence file holds.

    Attributes:
        date: when it was written.
        network: name of the network in the records.
        fingerprint: its hash there.
        saved: whether the network itself is in the archive.
        versions: versions of the software that measured; empty for an evaluation in Python, which records none.
        written_with: those of the software that wrote the file.
        commands: the commands that measured.
        seeds: seeds of attacks and verdicts.
        data: name of the data.
        rates: every rate with interval, sample sizes, budget, draws and seed.
        originals: original inputs, by member.
        stored: adversarial inputs.
        members: every file but this one.
    """

    format: Literal["variate-evidence-1"] = "variate-evidence-1"
    date: str
    network: str
    fingerprint: str
    saved: bool
    versions: dict[str, str]
    written_with: dict[str, str]
    commands: list[str]
    seeds: list[int]
    data: list[str]
    rates: list[dict[str, Any]]
    originals: dict[str, Originals]
    stored: list[Stored]
    members: dict[str, Member]


def hashed(file: IO[bytes]) -> Member:
    """The hash and the length of what a file holds."""
    digest, length = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        digest.update(piece)
        length += len(piece)
    return Member(sha256=digest.hexdigest(), bytes=length)


def unpacked(path: Path, folder: Path) -> tuple[Manifest, list[str]]:
    """Unpack an evidence file into a folder: its manifest, and what is wrong with its members.

    Only members that the manifest names and whose hash is right are written, and none outside the folder.

    Raises:
        DataError: for a file that is no evidence file, is damaged, or unpacks to more than its size allows.
    """
    with unzipping(path, DataError, todo=f"pass {EXPECTED}") as archive:
        manifest = _manifest_in(archive, path)
        names = [name for name in archive.namelist() if name != MANIFEST]
        wrong = [
            f"{name} is in the archive more than once" for name in sorted({n for n in names if names.count(n) > 1})
        ]
        wrong += [f"{name} is not in the manifest" for name in names if name not in manifest.members]
        for name, member in manifest.members.items():
            if name not in names:
                wrong.append(f"{name} is missing")
                continue
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with reading(f"{name} in {path}", DataError, expected=EXPECTED), archive.open(name) as file:
                target.write_bytes(file.read())
            with target.open("rb") as file:
                found = hashed(file)
            if found != member:
                wrong.append(f"{name} was changed: its SHA-256 is {found.sha256}, and {member.sha256} in the manifest")
                target.unlink()
    return manifest, wrong


def _manifest_in(archive: ZipFile, path: Path) -> Manifest:
    if MANIFEST not in archive.namelist():
        raise DataError(f"{path} has no {MANIFEST}", expected=EXPECTED)
    if archive.getinfo(MANIFEST).file_size > LARGEST:
        raise DataError(f"the {MANIFEST} of {path} has more than {LARGEST:,} bytes", expected=EXPECTED)
    try:
        manifest = Manifest.model_validate_json(archive.read(MANIFEST))
    except ValidationError as error:
        raise DataError(
            f"the {MANIFEST} of {path} is not one of this version of Variate",
            findings=findings_of(error, Manifest),
            expected=EXPECTED,
        ) from error
    named = {*manifest.members, *manifest.originals, *(stored.member for stored in manifest.stored)}
    odd = [repr(name) for name in sorted(named) if not NAME.fullmatch(name) or name == MANIFEST]
    if odd:
        raise DataError(f"{path} names members that are no plain file names", findings=odd, expected=EXPECTED)
    return manifest
