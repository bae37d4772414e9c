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
    """Sentences on the detectors of claims: what each rejects, and which claims are not shown without ``oars``."""
    shares: dict[tuple[str, str, str], list[str]] = {}
    hidden: list[str] = []
    for claim in claims:
        examples = records.examples.get(claim.id, {}).values()
        if _detector(claim) is None or not examples:
            continue
        name = f"{claim.network}, detector {claim.options.get('detector', '')}"
        if not adapted(records, claim):
            hidden.append(f"{name}: {claim.attack} is not shown, since {ADAPTIVE} has not answered the same examples")
            continue
        ordinary = ""
        if claim.ordinary is not None:
            ordinary = f"{100 * claim.ordinary:.1f} % of the inputs sent once in random order, and "
        rejected = sum(line.rejected for line in examples) / max(sum(line.points for line in examples), 1)
        words = f"{100 * rejected:.1f} % of the queries of {claim.attack}"
        shares.setdefault((name, ordinary, f"at {claim.budget}"), []).append(words)
    return [
        f"{name}: rejects {ordinary}{budget} {', '.join(words)}" for (name, ordinary, budget), words in shares.items()
    ] + list(dict.fromkeys(hidden))


def _detector(claim: Claim) -> Any:
    """The options of the detector that a claim faces; None without one."""
    return (claim.settings or claim.options).get("detector")


def _beside(claim: Claim) -> tuple[object, ...]:
    """What two claims share whose rates stand beside each other."""
    return (claim.network, claim.part, claim.subject, claim.budget, claim.verdict_draws)
