"""Merge the records of several files into one, and take those of some networks out of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example, MetricValue, Picture, Record, Timing


def gather(parts: Sequence[Records], whole: Records) -> None:
    """Add the records of several files to one, in an order that does not depend on which was written first.

    Args:
        parts: records to merge; networks and claims keep this order, and a claim may be in several parts.
        whole: records that all parts are added to.
    """
    for part in parts:
        whole.add([*part.runs, *part.networks.values(), *part.scales, *part.convergences])
    for claim in {claim.key: claim for part in parts for claim in part.claims.values()}.values():
        holding = [part for part in parts if claim.id in part.examples]
        whole.add([claim, *_examples(holding, claim)])
    gradients = {key: line for part in parts for key, line in part.gradients.items()}
    whole.add([gradients[key] for key in sorted(gradients)])
    for part in parts:
        whole.add(_proved(part))


def of_networks(records: Records, names: Collection[str]) -> Records:
    """The records of some networks alone, without those of runs, in memory.

    Args:
        records: records of these and other networks.
        names: the names of the networks.
    """
    owned = {line.id for line in (*records.claims.values(), *records.certificates.values()) if line.network in names}
    part = Records()
    part.add([line for line in _lines(records) if _belongs(line, names, owned)])
    return part


def _belongs(line: Record, names: Collection[str], owned: Collection[str]) -> bool:
    """Whether a line is of one of the networks, by its name or by the claim or certificate that it is part of."""
    if hasattr(line, "network"):
        return line.network in names
    return getattr(line, "claim", getattr(line, "certificate", "")) in owned


def _lines(records: Records) -> list[Record]:
    """All lines but those of runs."""
    lines: list[Record] = [*records.networks.values(), *records.scales, *records.convergences]
    for claim in records.claims.values():
        lines += [claim, *_examples([records], claim)]
    return [*lines, *records.gradients.values(), *_proved(records)]


def _proved(records: Records) -> list[Record]:
    """What is proved, and what it rests on."""
    return [
        *records.certificates.values(),
        *(batch for by_first in records.votes.values() for _, batch in sorted(by_first.items())),
        *(batch for by_first in records.answered.values() for _, batch in sorted(by_first.items())),
        *records.proofs.values(),
        *records.bounds.values(),
    ]


def _examples(parts: Sequence[Records], claim: Claim) -> list[Record]:
    """The answers of a claim in the order of its examples, each with its picture, then timings and metrics."""
    answers: dict[int, Example] = {}
    pictures: dict[int, Picture] = {}
    timings: dict[int, Timing] = {}
    metrics: dict[tuple[str, str, str, str], MetricValue] = {}
    for part in parts:
        metrics |= {key: line for key, line in part.metrics.items() if line.claim == claim.id}
        timings |= part.timings.get(claim.id, {})
        answers |= part.examples.get(claim.id, {})
        pictures |= {picture.example: picture for picture in part.pictures if picture.claim == claim.id}
    lines: list[Record] = []
    for i in sorted(answers):
        lines += [answers[i], *([pictures[i]] if i in pictures else [])]
    return [*lines, *(timings[first] for first in sorted(timings)), *metrics.values()]
