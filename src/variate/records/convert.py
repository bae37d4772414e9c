"""Files of records that older versions wrote, brought to the present format with the same numbers.

    python -m variate.records.convert runs/a/records.jsonl docs/results/paper/records.jsonl.gz

A file is replaced by its conversion once that is whole. Format 1 did not write all that decides an answer: what cannot
be known is ``unknown``, so the answers are shown as before and no new measurement takes them for its own. Format 1 told
twins and networks of several seeds by their names alone; they are told here for the last time.
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

from pydantic import ValidationError

from variate import registry
from variate.errors import RecordError, VariateError
from variate.options import parse
from variate.records.file import HEADER, Records
from variate.records.schema import READ, UNKNOWN, Claim, Part

TWINS = ("mean network", "one frozen draw")  # how studies named the twins of a random network
Line = dict[str, Any]


def convert(path: Path) -> int:
    """Bring a file of format 1 to the present format.

    Returns:
        How many lines it has; 0 if it has the present format already, and is left as it is.

    Raises:
        RecordError: for a file that is neither.
    """
    packed = path.suffix == ".gz"
    try:
        data = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (OSError, EOFError) as error:
        raise RecordError(f"cannot read records from {path}: {error}") from error
    if data.startswith(HEADER):
        return 0
    raw = data[: data.rfind(b"\n") + 1].splitlines()
    try:
        lines = _First(raw).converted()
        written = HEADER + b"".join(READ.validate_python(line).model_dump_json().encode() + b"\n" for line in lines)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise RecordError(f"{path} is no file of records of format 1", findings=[str(error)]) from error
    fresh = path.with_name(f"{path.stem}.new{path.suffix}")
    fresh.write_bytes(gzip.compress(written, 9, mtime=0) if packed else written)
    answers = {(old["claim"], old["example"]) for old in map(json.loads, raw) if old["kind"] == "example"}
    if sum(map(len, Records(fresh).examples.values())) != len(answers):
        fresh.unlink()
        raise RecordError(f"two claims of {path} cannot be told apart once they are converted; it is left as it is")
    os.replace(fresh, path)
    return len(raw)


class _First:
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
        self.shared = {fingerprint for fingerprint, found in names.items() if len(found) > 1}
        self.seeds = {(line["fingerprint"], line["inputs"]): line["seed"] for line in claims}
        ids = [hashlib.blake2b(line, digest_size=8).hexdigest() for line in raw]  # a claim's id was that of its line
        self.ids = {
            old: Claim.model_validate(self._claim(line)).id
            for old, line in zip(ids, self.lines, strict=True)
            if line["kind"] == "claim"
        }

    def converted(self) -> list[Line]:
        """The same lines in the present format, in order."""
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
            raise ValueError(f"the part {part!r} of {line['network']} is none of {', '.join(get_args(Part))}")
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
        """What is known of the network and the inputs of a line."""
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
        """With the name where several names share it: the fingerprints of format 1 saw tensors alone."""
        if fingerprint not in self.shared:
            return fingerprint
        return f"{fingerprint}-{hashlib.blake2b(network.encode(), digest_size=4).hexdigest()}"

    def _owner(self, network: str) -> str | None:
        """The random network that a twin was made of."""
        return next((name for name in self.random for twin in TWINS if network == f"{name}, {twin}"), None)

    def _group(self, network: str) -> str | None:
        """The name that a network, or a twin of it, shares with those of other seeds."""
        for name, line in self.described.items():
            ending = f", seed {line['seed']}"
            if name.endswith(ending) and (network == name or network.startswith(f"{name}, ")):
                shared: str = name.removesuffix(ending) + network.removeprefix(name)
                return shared
        return None

    def _modality(self, network: str) -> str:
        """What the data of a network are, where its data set is one of Variate's."""
        owner = self._owner(network) or network
        described: Mapping[str, Any] = self.described.get(owner, {})
        only = next(iter(self.data)) if len(self.data) == 1 else ""
        data = described.get("training", {}).get("data", only)
        known = registry.entries("datasets").get(parse(data, "a data set")[0] if data else "")
        return UNKNOWN if known is None else str(known.facts["modality"])


def main(words: Sequence[str]) -> int:
    """Convert the files that are named. Returns the exit status."""
    for word in words:
        try:
            count = convert(Path(word))
        except VariateError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"{word}: {f'{count:,} lines' if count else 'has the present format'}\n")
    return 0 if words else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
