"""Which answers of a file are shown together: of each network the newest, and what else the file holds of it.

A file may hold several networks under one name, and several sets of examples of one network: more examples asked for
later, other columns that may be changed. They answer different questions, so a report mixes none of them. Everything
that is shown of a file of records reads ``shown``, and says ``notes``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from variate.records.file import Records
from variate.records.schema import UNKNOWN, Claim
from variate.statistics.rates import Deployment

HIDDEN = ("source", "sources", "attacks")  # options that a heading has no room for


@dataclass(frozen=True)
class _Grouping:
    """The claims of a file in the order in which they were written, and which deployments of each are shown."""

    shown: dict[tuple[str, str], list[str]]
    claims: list[Claim]
    others: list[Claim]


def shown(records: Records, *parts: str) -> list[Claim]:
    """The claims that are shown, of some parts or of all, in the order in which they were written.

    Of each name the network that was judged last; of it, in each part of a report, the inputs that were judged last
    (and what may be changed of them); and of several claims about one attack in one setting, such as those of several
    seeds, the last that holds a deployment. A claim without any answers is not shown.
    """
    every = _grouping(records).claims
    return [claim for claim in every if not parts or claim.part in parts]


def deployments_of(records: Records, claim: Claim) -> list[str]:
    """The deployments of a claim that are shown."""
    return _grouping(records).shown.get(claim.key, [])


def fingerprint_of(records: Records, network: str) -> str | None:
    """The fingerprint of the network that is shown under a name; None where nothing is."""
    return next((claim.fingerprint for claim in shown(records) if claim.network == network), None)


def setting_words(claim: Claim) -> str:
    """The options that were given to an attack, as in ``40 steps``."""
    return ", ".join(f"{value} {name}" for name, value in claim.options.items() if name not in HIDDEN)


def notes(records: Records) -> list[str]:
    """What the file holds and a report does not show, a sentence for each network; what is shown is said beside it."""
    return records.once("notes", lambda: list(_notes(records)))


def _grouping(records: Records) -> _Grouping:
    return records.once("grouping", lambda: _grouped(records))


def _grouped(records: Records) -> _Grouping:
    answered = [claim for claim in records.claims.values() if records.examples.get(claim.id)]
    network = {claim.network: claim.fingerprint for claim in answered}
    ours = [claim for claim in answered if network[claim.network] == claim.fingerprint]
    subject = {(claim.network, claim.part): claim.subject for claim in ours}
    same = [claim for claim in ours if subject[claim.network, claim.part] == claim.subject]
    last = {_answers(claim, way): claim.key for claim in same for way in claim.deployments}
    kept = {c.key: [way for way in c.deployments if last[_answers(c, way)] == c.key] for c in same}
    return _Grouping(
        kept,
        [claim for claim in answered if kept.get(claim.key)],
        [claim for claim in answered if kept.get(claim.key) != claim.deployments],
    )


def _answers(claim: Claim, deployment: str) -> Hashable:
    """What a rate stands for in a report, and which answers it comes from: only one claim of a kind can be shown.

    One question and several are answered by the same draws, and a deterministic network has but one kind of answers.
    """
    source = "any" if claim.verdict_draws == 1 else Deployment.parse(deployment).source
    return (claim.network, claim.part, claim.attack, setting_words(claim), claim.budget, claim.draws, source)


def _notes(records: Records) -> Iterator[str]:
    others: dict[str, list[Claim]] = {}
    for claim in _grouping(records).others:
        others.setdefault(claim.network, []).append(claim)
    for network, claims in others.items():
        ours = [claim for claim in shown(records) if claim.network == network]
        held = list(dict.fromkeys(_described(records, claim, ours) for claim in claims))
        newest = list(dict.fromkeys(_set_of(records, claim) for claim in ours))
        yield (
            f"{network}: shown are the newest answers ({'; '.join(newest)}). The records also hold {'; '.join(held)}: "
            "not shown."
        )


def _described(records: Records, claim: Claim, ours: list[Claim]) -> str:
    """What a claim that is not shown is of."""
    if claim.fingerprint != ours[0].fingerprint:
        return f"another network of this name, {claim.fingerprint} ({_set_of(records, claim)})"
    if all(claim.subject != other.subject for other in ours if other.part == claim.part):
        return _set_of(records, claim)
    hidden = [way for way in claim.deployments if way not in deployments_of(records, claim)]
    words = f"{', '.join(hidden)} under {claim.attack}{f' at {claim.budget}' if claim.budget else ''}"
    return f"earlier answers to {words} (seed {claim.seed}, {claim.verdict_draws} verdict draws{_when(claim)})"


def _set_of(records: Records, claim: Claim) -> str:
    """The examples of a claim in words."""
    changed = "" if claim.allowed == UNKNOWN else f", {claim.modality} {claim.allowed[:8]}"
    count = len(records.examples[claim.id])
    return f"{claim.part}: {count} examples, inputs {claim.inputs[:8]}{changed}{_when(claim)}"


def _when(claim: Claim) -> str:
    return f", {claim.date}" if claim.date else ""
