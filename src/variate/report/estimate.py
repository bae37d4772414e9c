"""One network of a verdict: its rates under attack, without attack, if asked again, what is proved, and its flags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from variate.flags.raise_flags import Raised, raised
from variate.inputs.budget import Budget
from variate.records.certified import ProvedRow
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.population import population_rows
from variate.records.proofs import proofs
from variate.records.rows import RateRow, rows_of
from variate.report import single
from variate.statistics.notation import quoted
from variate.statistics.rates import Deployment

UNFINISHED = "unfinished-attack"  # the flag that speaks of one attack alone
UNDER_TRAINED = "under-trained"  # the note that doubts differences, not rates


@dataclass(frozen=True)
class Estimate:
    """One network of the verdict.

    Attributes:
        label: its name; a twin's without the name of the network it was made from.
        role: ``measured``, or ``twin`` of the network measured.
        row: its accuracy under its own strongest attack, one draw per query.
        clean: its accuracy without attack; None if that was not evaluated.
        repeated: its accuracy when the attacker repeats the query and one wrong answer is enough, at the largest
            number of queries evaluated; None for a deterministic network.
        proved: what is certified for one draw within the same budget; None without such a certificate.
        flags: the names of the warnings raised on it.
    """

    label: str
    role: Literal["measured", "twin"]
    row: RateRow
    clean: RateRow | None
    repeated: RateRow | None
    proved: ProvedRow | None
    flags: tuple[str, ...]


def estimate_of(records: Records, claim: Claim, *, of: str) -> Estimate:
    """One network of a verdict on the network ``of``."""
    clean = single.strongest(records, claim.network, None)
    return Estimate(
        label=claim.network.removeprefix(f"{of}, "),
        role="measured" if claim.network == of else "twin",
        row=single.row(records, claim),
        clean=single.row(records, clean) if clean is not None else None,
        repeated=repeated_row(records, claim),
        proved=_proved(records, claim),
        flags=tuple(dict.fromkeys(flag.flag for flag in doubts_of(records, claim))),
    )


def flags_of(records: Records) -> list[Raised]:
    """The red flags and the notes."""
    return records.once("raised", lambda: raised(records))


def warnings(records: Records) -> list[Raised]:
    """The red flags that are warnings."""
    return [flag for flag in flags_of(records) if flag.level == "warning"]


def doubts_of(records: Records, claim: Claim) -> list[Raised]:
    """The warnings that doubt the rate of a claim: those on its network, except for another, weaker attack's end.

    That another attack ended before it converged does not make the lower rate of this one wrong; every other flag
    speaks of the network, or of the attacker's use of its draws and gradients.
    """
    word = re.compile(rf"(?<![\w-]){re.escape(claim.attack)}(?![\w-])")
    return [
        flag
        for flag in warnings(records)
        if flag.network == claim.network and (flag.flag != UNFINISHED or any(map(word.search, flag.findings)))
    ]


def still_gaining(*sides: tuple[Records, Claim]) -> str:
    """A sentence on the networks of a comparison whose training was not at its end; empty if there are none."""
    notes = [
        flag.network
        for records, claim in sides
        for flag in flags_of(records)
        if (flag.flag, flag.network) == (UNDER_TRAINED, claim.network)
    ]
    if not notes:
        return ""
    names = " and ".join(quoted(name) for name in dict.fromkeys(notes))
    return f"{names} still gained when training ended: the difference may only show how long each was trained."


def repeated_row(records: Records, claim: Claim) -> RateRow | None:
    """What is left of the accuracy when the attacker repeats the query, at the largest number of queries evaluated."""
    rows = {Deployment.parse(row.deployment): row for row in rows_of(records, claim) if claim.verdict_draws > 1}
    repeated = [deployment for deployment in rows if deployment.rule == "survive"]
    return rows[max(repeated, key=lambda deployment: deployment.size)] if repeated else None


def _proved(records: Records, claim: Claim) -> ProvedRow | None:
    """The certified rate of one draw of the claim's network, on the same inputs within the same budget.

    Without a certificate, what the clean rate proves of it.
    """
    budget = Budget.parse(claim.budget or "")
    rows = [
        proven.row("single", budget.eps)
        for proven in proofs(records)
        if (proven.certificate.fingerprint, proven.certificate.inputs) == (claim.fingerprint, claim.inputs)
        and proven.certificate.task == claim.task
        and proven.proved.norm == budget.norm
    ]
    free = [
        row.proved
        for row in population_rows(records)
        if (row.bound.network, row.bound.fingerprint) == (claim.network, claim.fingerprint)
        and (row.proved.norm, row.proved.radius) == (budget.norm, budget.eps)
    ]
    return next((row for row in (*rows, *free) if row is not None), None)
