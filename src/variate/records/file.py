"""Records: one line of JSON per example and claim, and the few other facts that a report needs.

The first line holds the version of the format. Lines are only appended. A last line that a crash left incomplete is
ignored when reading, and removed before the next write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from variate.errors import RecordError
from variate.records.appending import append, cut_incomplete_line, held
from variate.records.bits import unpack_all
from variate.records.certified import Answered, Certificate, PopulationBound, Proved, Votes
from variate.records.claim import Claim
from variate.records.consistency import check_records
from variate.records.lines import check_version, complete_lines, garbage_collection_off, parsed
from variate.records.schema import (
    FORMAT,
    Convergence,
    Example,
    Gradient,
    Header,
    MetricValue,
    NetworkLine,
    Picture,
    Record,
    RunLine,
    Scale,
    Timing,
)
from variate.statistics.crossed import Scores

T = TypeVar("T")
RECORDS = "records.jsonl"  # the file's name in a run folder
HEADER = Header(version=FORMAT).model_dump_json().encode() + b"\n"


class Records:
    """A file of records, opened for reading and appending; without a path, records are kept in memory only.

    Args:
        path: the file; a file that ends in ``.gz`` is read-only.
        shard: number of this process where several write at once. Each reads the file and appends to its own shard
            beside it; ``variate.evaluation.processes.merge`` merges the shards.

    Attributes:
        runs, scales, pictures, convergences: lines of these kinds.
        networks: by name.
        claims, certificates: by (network name, id).
        examples, timings: by claim id, then by example number, or that of the first example.
        votes, answered: by (certificate id, budget), or by measurement, then by the number of the first example.
        gradients, proofs: by (id, example), or by certificate id and norm.
        bounds: by network name, fingerprint and budget.
        metrics: by claim id, metric, rule, and what is subtracted.

    Raises:
        RecordError: if the file cannot be read or has another version.
    """

    def __init__(self, path: str | Path | None = None, *, shard: int | None = None) -> None:
        main = Path(path) if path is not None else None
        self.path = main if main is None or shard is None else shard_of(main, shard)
        self._repaired, self._held, self._size = False, False, 0  # bytes of the file that have been read
        self._scaled: dict[tuple[str, str], int] = {}  # index of each parameter's scale in ``scales``
        self._pictured: set[tuple[str, int]] = set()
        self._derived: dict[Hashable, Any] = {}
        self.runs: list[RunLine] = []
        self.networks: dict[str, NetworkLine] = {}
        self.scales: list[Scale] = []
        self.claims: dict[tuple[str, str], Claim] = {}
        self.examples: dict[str, dict[int, Example]] = {}
        self.timings: dict[str, dict[int, Timing]] = {}
        self.pictures: list[Picture] = []
        self.gradients: dict[tuple[str, int], Gradient] = {}
        self.convergences: list[Convergence] = []
        self.certificates: dict[tuple[str, str], Certificate] = {}
        self.votes: dict[tuple[str, str | None], dict[int, Votes]] = {}
        self.proofs: dict[tuple[str, str], Proved] = {}
        self.answered: dict[str, dict[int, Answered]] = {}
        self.bounds: dict[tuple[str, str, str], PopulationBound] = {}
        self.metrics: dict[tuple[str, str, str, str], MetricValue] = {}
        for file in dict.fromkeys((main, self.path)):
            if file is not None and file.exists():
                size = self._read(file)
                self._size = size if file == self.path else 0

    def add(self, records: Collection[Record]) -> None:
        """Append records, all or none; records that the file already holds are not written again.

        Takes a collection, not an iterator, so that nothing is computed while the file is open.

        Raises:
            RecordError: if the records cannot be written, or another process holds the file; the file is left intact.
            TypeError: for an iterator.
        """
        if not isinstance(records, Collection):
            raise TypeError(f"records must be a collection such as a list, not a {type(records).__name__}")
        with self.held():
            new = [record for record in records if not self._contains(record)]
            if self.path is not None and new:
                self._append(self.path, "".join(record.model_dump_json() + "\n" for record in new).encode())
            for record in new:
                self._keep(record)

    def answers(self, claim: Claim, source: str) -> Scores:
        """Whether each answer of a claim is correct, or its score, shape (draws or groups, examples)."""
        examples = self.examples[claim.id]
        return unpack_all([examples[i].answers[source] for i in sorted(examples)])

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """Return ``make()``, cached under ``name`` until records are added."""
        if name not in self._derived:
            self._derived[name] = make()
        derived: T = self._derived[name]
        return derived

    def _contains(self, record: Record) -> bool:
        match record:
            case Example():
                return record.example in self.examples.get(record.claim, {})
            case Timing():
                return record.first in self.timings.get(record.claim, {})
            case Claim():
                return record.key in self.claims
            case NetworkLine():
                return self.networks.get(record.network) == record
            case Scale():
                index = self._scaled.get((record.network, record.parameter))
                return index is not None and self.scales[index] == record
            case Picture():
                return (record.claim, record.example) in self._pictured
            case Gradient():
                return (record.id, record.example) in self.gradients
            case Convergence():
                return record in self.convergences
            case Certificate():
                return record.key in self.certificates
            case Votes():
                return record.first in self.votes.get((record.certificate, record.budget), {})
            case Proved():
                return self.proofs.get((record.certificate, record.norm)) == record
            case Answered():
                return record.first in self.answered.get(record.key, {})
            case PopulationBound():
                return self.bounds.get(record.key) == record
            case MetricValue():
                return self.metrics.get(record.key) == record
            case RunLine():
                return record in self.runs

    def _keep(self, record: Record) -> None:
        self._derived.clear()
        match record:
            case Example():
                self.examples.setdefault(record.claim, {}).setdefault(record.example, record)
            case Timing():
                self.timings.setdefault(record.claim, {}).setdefault(record.first, record)
            case Claim():
                self.claims[record.key] = record
            case NetworkLine():
                self.networks[record.network] = record
            case Scale():
                index = self._scaled.setdefault((record.network, record.parameter), len(self.scales))
                self.scales[index : index + 1] = [record]
            case Picture():
                self._pictured.add((record.claim, record.example))
                self.pictures.append(record)
            case Gradient():
                self.gradients[record.id, record.example] = record
            case Convergence():
                self.convergences.append(record)
            case Certificate():
                self.certificates[record.key] = record
            case Votes():
                self.votes.setdefault((record.certificate, record.budget), {})[record.first] = record
            case Proved():
                self.proofs[record.certificate, record.norm] = record
            case Answered():
                self.answered.setdefault(record.key, {})[record.first] = record
            case PopulationBound():
                self.bounds[record.key] = record
            case MetricValue():
                self.metrics[record.key] = record
            case RunLine():
                self.runs.append(record)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Context in which no other process writes to the file; what others have written until then is read first.

        Raises:
            RecordError: if another process holds the file.
        """
        if self.path is None or self._held or self.path.suffix == ".gz":
            yield
            return
        with held(self.path):
            if self.path.exists() and self.path.stat().st_size > self._size:
                self._size = self._read(self.path, self._size)
            self._held = True
            try:
                yield
            finally:
                self._held = False

    def _read(self, file: Path, start: int = 0) -> int:
        """Keep the complete lines of a file from a byte on; the number of bytes up to the last of them."""
        data = complete_lines(file)
        with garbage_collection_off():
            for number, line in enumerate(data[start:].splitlines(), data[:start].count(b"\n") + 1):
                if number == 1:
                    check_version(line, file)
                else:
                    self._keep(parsed(line, file, number))
        check_records(self.claims.values(), self.examples, self.pictures, file)
        return len(data)

    def _append(self, path: Path, data: bytes) -> None:
        if path.suffix == ".gz":
            raise RecordError(f"{path} is compressed and read-only", todo="write to a .jsonl file")
        try:
            if not self._repaired:
                cut_incomplete_line(path)
                self._repaired = True
            self._size = append(path, data, first=HEADER)
        except OSError as error:
            raise RecordError(
                f"cannot write records to {path}: {error.strerror or error}",
                findings=[f"the {sum(map(len, self.examples.values()))} example records written so far are intact"],
                todo="free some space or choose another folder, then run the same command again to continue",
            ) from error


def shard_of(path: Path, number: int) -> Path:
    """Path of the shard that process ``number`` writes; shards are merged into ``path``."""
    return path.with_name(f"{path.stem}.{number}{path.suffix}")
