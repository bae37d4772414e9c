"""Checks of records that were read, beyond the types of their fields: what the reports rely on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from variate.errors import RecordError
from variate.records.claim import Claim
from variate.records.schema import Example, NetworkLine, Picture, Record

PACKED = re.compile(r"(\d{1,9}):(s:)?((?:[0-9a-fA-F]{2})*)")  # bits or scores
LARGEST = 2**63
MOST = 1e150  # its square is finite
TODO = "restore the file, or run the same command into a new folder"


def check_line(record: Record, where: str) -> None:
    """Check that a record's numbers are finite and its packed values whole. Raises ``RecordError``."""
    findings = [] if isinstance(record, Example) and _is_finite(record) else _number_findings(record)
    if isinstance(record, Example):
        findings += [f"answers.{name}: {text[:40]!r} are not packed answers" for name, text in record.answers.items()
                     if not _is_packed(text)]  # fmt: skip
    if isinstance(record, NetworkLine):
        findings += [f"curve: {point.robust[:40]!r} are not packed answers" for point in record.curve
                     if not _is_packed(point.robust)]  # fmt: skip
    if isinstance(record, Picture):
        findings += _picture_findings(record)
    if findings:
        raise RecordError(f"{where} holds values that cannot be shown", findings=findings, todo=TODO)


def check_records(
    claims: Iterable[Claim], examples: Mapping[str, Mapping[int, Example]], pictures: Iterable[Picture], file: Path
) -> None:
    """Check that examples have the answers that their claim names, and pictures their example. Raises ``RecordError``.

    Examples without claim are passed over: reports begin with claims.
    """
    findings = []
    for claim in {claim.id: claim for claim in claims}.values():
        rows = examples.get(claim.id, {})
        sources = sorted({name for row in rows.values() for name in row.answers})
        findings += [
            f"example {row.example} of {claim.attack} on {claim.network} has no answers of {name}"
            for row in rows.values()
            for name in sources
            if name not in row.answers
        ]
    known = {claim.id for claim in claims}
    findings += [
        f"the stored example {picture.example} of claim {picture.claim} has no answers"
        for picture in pictures
        if picture.claim in known and picture.example not in examples.get(picture.claim, {})
    ]
    if findings:
        raise RecordError(f"{file} is incomplete", findings=findings[:5], todo=TODO)


def _number_findings(value: Any, name: str = "") -> list[str]:
    """Numbers that are not finite or that no column holds, in a record or in what it contains."""
    if isinstance(value, bool | str) or value is None:
        return []
    if isinstance(value, int | float):
        fits = abs(value) < LARGEST if isinstance(value, int) else math.isfinite(value) and abs(value) < MOST
        return [] if fits else [f"{name}: {str(value)[:40]} is not a number of records"]
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(name, item) for item in value]
    else:
        parts = list(vars(value).items()) if hasattr(value, "__dict__") else []
    return [finding for key, item in parts for finding in _number_findings(item, key)]


def _is_finite(example: Example) -> bool:
    """A quick check of the most frequent record."""
    counts = (example.example, example.label or 0, example.forwards, example.backwards, example.points)
    numbers = (example.distance, example.rising or 0.0, *example.shares.values(), *example.confidences.values())
    return all(0 <= count < LARGEST for count in counts) and all(map(math.isfinite, numbers))


def _is_packed(text: str) -> bool:
    match = PACKED.fullmatch(text)
    return match is not None and len(match[3]) == (4 * int(match[1]) if match[2] else 2 * -(-int(match[1]) // 8))


def _picture_findings(picture: Picture) -> Iterable[str]:
    if not all(side > 0 for side in picture.shape):
        yield f"shape: {picture.shape} is not a shape"
        return
    pixels = 2 * math.prod(picture.shape) if picture.modality == "image" else None
    for name in ("original", "adversarial"):
        text: str = getattr(picture, name)
        if re.fullmatch("([0-9a-fA-F]{2})*", text) is None or pixels not in (None, len(text)):
            yield f"{name}: {text[:40]!r}... is not {'bytes' if pixels is None else f'{pixels:,}'} in hexadecimal"
