"""Convert files of records of older versions to the current format; the numbers stay the same.

    python -m variate.records.convert runs/a/records.jsonl docs/results/paper/records.jsonl.gz

The converted file replaces the original once it is complete. Format 1 did not store everything that determines an
answer. What cannot be known becomes ``unknown``: the answers are shown as before, and no new measurement reuses them.
Format 1 identified twins and seeds of a network by their names alone; the names are parsed here for the last time.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from variate import registry
from variate.errors import RecordError, VariateError
from variate.files.reading import reading, told, ungzipped
from variate.options import parse
from variate.records.file import HEADER, Records
from variate.records.schema import READ, UNKNOWN, Claim, Part

TWINS = ("mean network", "one frozen draw")  # the names that studies gave to the twins of a random network
Line = dict[str, Any]


def convert(path: Path) -> int:
    """Convert a file of format 1 to the current format.

    Returns:
        Number of lines; 0 if the file already has the current format and was left unchanged.

    Raises:
        RecordError: if the file has neither format.
    """
    compressed = path.suffix == ".gz"
    with reading(path, RecordError):
        content = path.read_bytes()
    data = ungzipped(content, path, RecordError) if compressed else content
    if data.startswith(HEADER):
        return 0
    raw = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        lines = _FirstFormat(raw).converted()
        written = HEADER + b"".join(READ.validate_python(line).model_dump_json().encode() + b"\n" for line in lines)
    except Exception as error:  # lines of any other kind
        raise RecordError(f"{path} is not a file of records of format 1", findings=[told(error)]) from error
    temporary = path.with_name(f"{path.stem}.new{path.suffix}")
    temporary.write_bytes(gzip.compress(written, 9, mtime=0) if compressed else written)
    answers = {(old["claim"], old["example"]) for old in map(json.loads, raw) if old["kind"] == "example"}
    if sum(map(len, Records(temporary).examples.values())) != len(answers):
        temporary.unlink()
        raise RecordError(f"two claims of {path} become identical when converted; the file is unchanged")
    os.replace(temporary, path)
    return len(raw)


class _FirstFormat:
    """The lines of a file of format 1."""

    def __init__(self, raw: Sequence[bytes]) -> None:
        self.lines: list[Line] = [json.loads(line) for line in raw]
        claims = self._of("claim")
        self.described = {line["network"]: line for line in self._of("network")}
        self.random = {line["network"]: line["fingerprint"] for line in claims if line["verdict_draws"] > 1}
        self.dates = [line["date"] for line in self._of("run")]
        self.data = {line["data"] for line in self._of("run")}
        names: dict[str, set[str]] = {}
        for line in claims:
            names.setdefault(line["fingerprint"], set()).add(line["network"])
        self.shared = {fingerprint for fingerprint, networks in names.items() if len(networks) > 1}
        self.seeds = {(line["fingerprint"], line["inputs"]): line["seed"] for line in claims}
        ids = [hashlib.blake2b(line, digest_size=8).hexdigest() for line in raw]  # a claim's id hashed its line
        self.ids = {
            old: Claim.model_validate(self._claim(line)).id
            for old, line in zip(ids, self.lines, strict=True)
            if line["kind"] == "claim"
        }

    def converted(self) -> list[Line]:
        """The same lines in the current format, in the same order."""
        kinds = {
            "claim": self._claim, "network": self._network, "gradient": self._gradient,
            "convergence": self._convergence, "example": self._of_claim, "timing": self._of_claim,
            "picture": self._of_claim,
        }  # fmt: skip
        return [kinds[line["kind"]](line) if line["kind"] in kinds else line for line in self.lines]

    def _of(self, kind: str) -> list[Line]:
        return [line for line in self.lines if line["kind"] == kind]

    def _claim(self, line: Line) -> Line:
        part = line.get("part", "table")
        if part not in get_args(Part):
            raise ValueError(f"the part {part!r} of {line['network']} is not one of {', '.join(get_args(Part))}")
        owner = self._owner(line["network"]) if part == "twins" else None
        drawn = "nothing" if line["verdict_draws"] == 1 else UNKNOWN
        return {
            **line,
            **self._judged(line, drawn=drawn),
            "settings": None,
            "twin_of": None if owner is None else self._fingerprint(owner, self.random[owner]),
            "group": self._group(line["network"]),
        }

    def _judged(self, line: Line, *, drawn: str = UNKNOWN) -> Line:
        """The known facts about the network and the inputs of a line."""
        return {
            "fingerprint": self._fingerprint(line["network"], line["fingerprint"]),
            "modality": self._modality(line["network"]),
            "allowed": UNKNOWN,
            "drawn": drawn,
            "seed": line.get("seed", self.seeds.get((line["fingerprint"], line["inputs"]), 0)),
            "date": self.dates[0] if self.dates else "",
        }

    def _gradient(self, line: Line) -> Line:
        return {**line, **self._judged(line)}

    def _convergence(self, line: Line) -> Line:
        return {**line, **self._judged(line), "settings": None}

    def _network(self, line: Line) -> Line:
        return {**line, "group": self._group(line["network"])}

    def _of_claim(self, line: Line) -> Line:
        return {**line, "claim": self.ids[line["claim"]]}

    def _fingerprint(self, network: str, fingerprint: str) -> str:
        """The fingerprint, made unique by the name where several names share it: format 1 hashed tensors alone."""
        if fingerprint not in self.shared:
            return fingerprint
        return f"{fingerprint}-{hashlib.blake2b(network.encode(), digest_size=4).hexdigest()}"

    def _owner(self, network: str) -> str | None:
        """The random network that a twin was made from; None if this is not a twin."""
        return next((name for name in self.random for twin in TWINS if network == f"{name}, {twin}"), None)

    def _group(self, network: str) -> str | None:
        """The name that a network (or its twin) shares with the same network of other seeds."""
        for name, line in self.described.items():
            suffix = f", seed {line['seed']}"
            if name.endswith(suffix) and (network == name or network.startswith(f"{name}, ")):
                shared: str = name.removesuffix(suffix) + network.removeprefix(name)
                return shared
        return None

    def _modality(self, network: str) -> str:
        """The modality of a network's data set, if Variate knows the data set."""
        owner = self._owner(network) or network
        described: Mapping[str, Any] = self.described.get(owner, {})
        only = next(iter(self.data)) if len(self.data) == 1 else ""
        data = described.get("training", {}).get("data", only)
        entry = registry.entries("datasets").get(parse(data, "a data set")[0] if data else "")
        return UNKNOWN if entry is None else str(entry.facts["modality"])


def main(paths: Sequence[str]) -> int:
    """Convert the given files. Returns the exit status."""
    for path in paths:
        try:
            count = convert(Path(path))
        except VariateError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"{path}: {f'{count:,} lines' if count else 'already in the current format'}\n")
    return 0 if paths else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
