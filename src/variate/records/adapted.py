"""No rate of a detector of similar queries is shown without that of the attack which adapts to it, beside it.

A plain attack is rejected again and again, so its rate says how it was written, not how secure the deployment is: every
stateful detector of its time fell to attacks that adapt (Feng et al. 2023, arXiv:2303.06280).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from variate.records.claim import Claim

if TYPE_CHECKING:
    from variate.records.file import Records

ADAPTIVE = "oars"


def adapted(records: Records, claim: Claim) -> bool:
    """Whether a claim may be shown: it faces no detector, or the adaptive attack answers for all of its examples."""
    detector = _detector(claim)
    if detector is None or claim.attack == ADAPTIVE:
        return True
    examples = records.examples.get(claim.id, {}).keys()
    return any(
        other.attack == ADAPTIVE
        and _detector(other) == detector
        and _beside(other) == _beside(claim)
        and examples <= records.examples.get(other.id, {}).keys()
        for other in records.claims.values()
    )


def stateful_notes(records: Records, claims: Sequence[Claim]) -> list[str]:
    """Sentences on the detectors of claims: what they reject, and which claims are not shown without ``oars``."""
    notes: list[str] = []
    for claim in claims:
        examples = records.examples.get(claim.id, {}).values()
        if _detector(claim) is None or not examples:
            continue
        name = f"{claim.network}, detector {claim.options.get('detector', '')}"
        if claim.ordinary is not None:
            notes.append(f"{name}: rejects {100 * claim.ordinary:.1f} % of the inputs sent once in random order")
        if not adapted(records, claim):
            notes.append(f"{name}: {claim.attack} is not shown, since {ADAPTIVE} has not answered the same examples")
            continue
        share = sum(line.rejected for line in examples) / max(sum(line.points for line in examples), 1)
        notes.append(f"{name}: rejects {100 * share:.1f} % of the queries of {claim.attack} at {claim.budget}")
    return list(dict.fromkeys(notes))


def _detector(claim: Claim) -> Any:
    """The options of the detector that a claim faces; None without one."""
    return (claim.settings or claim.options).get("detector")


def _beside(claim: Claim) -> tuple[object, ...]:
    """What two claims share whose rates stand beside each other."""
    return (claim.network, claim.part, claim.subject, claim.budget, claim.verdict_draws)
