"""The proofs of a file, and beside each the rates that attacks left of the same network."""

from __future__ import annotations

from dataclasses import dataclass

from variate.inputs.budget import Budget
from variate.records.accepted import AcceptedRow, accepted_rows
from variate.records.certified import Certificate, Proved, ProvedRow
from variate.records.file import Records
from variate.records.finished import finished
from variate.records.groups import shown
from variate.records.rows import CLEAN, RateRow, rows_of


@dataclass(frozen=True)
class Proven:
    """A certificate with what it proves in one norm."""

    certificate: Certificate
    proved: Proved

    def row(self, deployment: str, radius: float) -> ProvedRow | None:
        """The certified rate of a deployment at a radius, if it was asked for."""
        rows = (row for row in self.proved.rows if row.deployment == deployment)
        return next((row for row in rows if abs(row.radius - radius) <= 1e-9 * max(1.0, radius)), None)


def without(abstained: int, examples: int, parts: int) -> str:
    """How many of the examples, or of the parts of their answers, have no certificate."""
    whole = f"{examples} examples" if parts == examples else f"{parts:,} parts of {examples} answers"
    return f"{abstained} of {whole}"


def proofs(records: Records) -> list[Proven]:
    """The last finished certificate of every network in every norm, in the order they were made."""
    return [Proven(*all_[-1]) for all_ in finished(records).values()]


def measured(records: Records, proven: Proven) -> list[RateRow]:
    """The rates that attacks within budgets of the proof's norm left of the same network, on any inputs."""
    return records.once(("attacked", proven.certificate.key, proven.proved.norm), lambda: _measured(records, proven))


def _measured(records: Records, proven: Proven) -> list[RateRow]:
    abstaining = [_right(row) for row in judged(records, proven)]
    return abstaining + [
        row
        for claim in shown(records)
        if claim.fingerprint == proven.certificate.fingerprint and claim.attack != CLEAN and claim.budget is not None
        if Budget.parse(claim.budget).norm == proven.proved.norm and "target" not in claim.options
        for row in rows_of(records, claim)
    ]


def judged(records: Records, proven: Proven) -> list[AcceptedRow]:
    """The rates of deployments that may abstain, under attacks within budgets of the proof's norm."""
    return [
        row
        for row in accepted_rows(records)
        if row.certificate == proven.certificate.id and row.budget is not None
        if Budget.parse(row.budget).norm == proven.proved.norm
    ]


def _right(row: AcceptedRow) -> RateRow:
    """The right answers of a deployment that may abstain."""
    right, shown = row.outcomes.right, (row.network, row.attack, row.options, row.budget, 0, row.deployment)
    return RateRow(*shown, right.rate, right.low, right.high, row.examples, "table")


def strongest(rows: list[RateRow]) -> dict[tuple[str, float], RateRow]:
    """The lowest rate by deployment and size of the budget."""
    lowest: dict[tuple[str, float], RateRow] = {}
    for row in rows:
        key = (row.deployment, Budget.parse(str(row.budget)).eps)
        if key not in lowest or row.rate < lowest[key].rate:
            lowest[key] = row
    return lowest


def sentence_of(certificate: Certificate, norm: str) -> str:
    """What a certificate certifies, for whom, and on what it rests."""
    if certificate.alpha == 0:
        return (
            f"Certified for {certificate.asked} examples against any attacker within the given budgets in {norm}: the "
            f"deterministic network itself. The proof rests on {certificate.noise}."
        )
    most = "up to " if certificate.early_stop else ""
    cast = "one draw" if certificate.votes_of == 1 else f"the mean of {certificate.votes_of} draws of the weights"
    each = "an example" if certificate.task in ("classes", "binary") else "a part of an answer"
    return (
        f"Certified for {certificate.asked} examples against any attacker within the given budgets in {norm}: the "
        f"random network itself, each vote cast by {cast}, from {most}{certificate.draws:,} votes at alpha = "
        f"{certificate.alpha:g} {each}. The proof rests on {certificate.noise}, and on draws that are fresh at "
        "every answer and unknown to the attacker; a fixed key or seed in deployment voids it."
    )
