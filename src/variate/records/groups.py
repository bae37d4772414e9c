"""Select the answers of a file that are shown together: the newest of each network; ``notes`` list the others.

A file may hold several networks under one name, and several sets of examples of one network, for instance after an
evaluation with more examples or with other columns that may change. They answer different questions, so a report never
mixes them. Everything that presents records reads ``shown`` and prints ``notes``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from variate.records.adapted import adapted, stateful_notes
from variate.records.claim import UNKNOWN, Claim
from variate.records.file import Records
from variate.records.finished import earlier_notes
from variate.records.rows import left_out, unfinished
from variate.statistics.rates import Deployment

HIDDEN = ("source", "sources", "attacks")  # options too long for a heading


@dataclass(frozen=True)
class _Grouping:
    """The claims of a file in the order they were written, and the deployments of each that are shown."""

    shown: dict[tuple[str, str], list[str]]
    claims: list[Claim]
    others: list[Claim]


def shown(records: Records, *parts: str) -> list[Claim]:
    """The claims to show, in the order they were written, from the given parts of a report (default: all).

    For each name, only the network evaluated last is shown. For that network and each part of a report, only the
    inputs (and allowed changes) evaluated last are shown. Where several claims have the same attack and setting, for
    instance with several seeds, the last claim with a deployment provides it. Claims without answers are not shown, nor
    are those on a detector of similar queries without the attack that adapts to it.
    """
    claims = _grouping(records).claims
    return [claim for claim in claims if not parts or claim.part in parts]


def deployments_of(records: Records, claim: Claim) -> list[str]:
    """The deployments of a claim that are shown."""
    return _grouping(records).shown.get(claim.key, [])


def fingerprint_of(records: Records, network: str) -> str | None:
    """The fingerprint of the network that is shown under a name; None if none is."""
    return next((claim.fingerprint for claim in shown(records) if claim.network == network), None)


def setting_words(claim: Claim) -> str:
    """The options of an attack that differ from its defaults, as in ``40 steps``."""
    return ", ".join(f"{value} {name}" for name, value in claim.options.items() if name not in HIDDEN)


def notes(records: Records) -> list[str]:
    """What a report does not show: attacks that were left out, and what else the file holds of each network."""
    return records.once("notes", lambda: list(_notes(records)))


def _grouping(records: Records) -> _Grouping:
    return records.once("grouping", lambda: _grouped(records))


def _grouped(records: Records) -> _Grouping:
    answered = [c for c in records.claims.values() if records.examples.get(c.id) and adapted(records, c)]
    network = {claim.network: claim.fingerprint for claim in answered}
    ours = [claim for claim in answered if network[claim.network] == claim.fingerprint]
    subject = {(claim.network, claim.part): claim.subject for claim in ours}
    current = [claim for claim in ours if subject[claim.network, claim.part] == claim.subject]
    last = {_setting(claim, deployment): claim.key for claim in current for deployment in claim.deployments}
    kept = {c.key: [name for name in c.deployments if last[_setting(c, name)] == c.key] for c in current}
    return _Grouping(
        kept,
        [claim for claim in answered if kept.get(claim.key)],
        [claim for claim in answered if kept.get(claim.key) != claim.deployments],
    )


def _setting(claim: Claim, deployment: str) -> Hashable:
    """A rate's place in a report and the answers it is computed from; only one claim with a given setting is shown.

    ``single`` and ``survive-N`` use the same draws, and a deterministic network has only one kind of answers.
    """
    source = "any" if claim.verdict_draws == 1 else Deployment.parse(deployment).source
    return (claim.network, claim.part, claim.attack, setting_words(claim), claim.budget, claim.draws, source)


def _notes(records: Records) -> Iterator[str]:
    others: dict[str, list[Claim]] = {}
    for claim in _grouping(records).others:
        others.setdefault(claim.network, []).append(claim)
    yield from unfinished(records, [*shown(records), *not_begun(records)])
    yield from left_out(records, shown(records))
    yield from stateful_notes(records, [*shown(records), *_not_adapted(records)])
    yield from earlier_notes(records)
    for network, claims in others.items():
        ours = [claim for claim in shown(records) if claim.network == network]
        hidden = list(dict.fromkeys(_why_hidden(records, claim, ours) for claim in claims))
        newest = list(dict.fromkeys(_example_set(records, claim) for claim in ours))
        yield (
            f"{network}: only the newest answers are shown ({'; '.join(newest)}). Also in the records, but not shown: "
            f"{'; '.join(hidden)}."
        )


def not_begun(records: Records) -> list[Claim]:
    """The claims without any answer, of networks that are shown."""
    ours = {(claim.network, claim.part, claim.subject) for claim in shown(records)}
    return [
        claim
        for claim in records.claims.values()
        if not records.examples.get(claim.id) and (claim.network, claim.part, claim.subject) in ours
    ]


def _not_adapted(records: Records) -> list[Claim]:
    """The claims with answers that are not shown for want of an adaptive attack."""
    return [c for c in records.claims.values() if records.examples.get(c.id) and not adapted(records, c)]


def _why_hidden(records: Records, claim: Claim, ours: list[Claim]) -> str:
    """How a claim that is not shown differs from those that are."""
    if claim.fingerprint != ours[0].fingerprint:
        return f"another network of this name, {claim.fingerprint} ({_example_set(records, claim)})"
    if all(claim.subject != other.subject for other in ours if other.part == claim.part):
        return _example_set(records, claim)
    hidden = [name for name in claim.deployments if name not in deployments_of(records, claim)]
    words = f"{', '.join(hidden)} under {claim.attack}{f' at {claim.budget}' if claim.budget else ''}"
    return f"earlier answers to {words} (seed {claim.seed}, {claim.verdict_draws} verdict draws{_when(claim)})"


def _example_set(records: Records, claim: Claim) -> str:
    """The examples of a claim, in words."""
    changed = "" if claim.allowed == UNKNOWN else f", {claim.modality} {claim.allowed[:8]}"
    count = len(records.examples[claim.id])
    return f"{claim.part}: {count} examples, inputs {claim.inputs[:8]}{changed}{_when(claim)}"


def _when(claim: Claim) -> str:
    return f", {claim.date}" if claim.date else ""
