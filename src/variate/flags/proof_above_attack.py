"""An attack goes below what was proved."""

from __future__ import annotations

from variate.flags.evidence import Evidence
from variate.inputs.budget import Budget
from variate.records.population import population_rows
from variate.records.proofs import judged, measured, proofs, strongest
from variate.registry import flag
from variate.statistics.notation import percent


@flag(
    level="warning",
    trigger="Within a certified budget, an attack leaves a deployment a rate whose interval ends below that of the "
    "certified rate; or one that may abstain has more wrong answers than are certified.",
    explanation="A certificate is a lower bound on what any attack leaves. Where an attack goes below it, one of the "
    "two is wrong: the network may not draw fresh noise at every answer, its noise may not be that of the proof, or "
    "the two were measured on different inputs.",
    remedy="Certify and attack the same inputs; check that the noise is drawn anew at every call, that nothing reads "
    "the input past it, and that no key or seed is fixed.",
    cite="Cohen, Rosenfeld & Kolter 2019, arXiv:1902.02918",
)
def proof_above_attack(evidence: Evidence) -> list[str]:
    """An attack goes below what was proved."""
    found = []
    for proven in proofs(evidence.records):
        if proven.certificate.network != evidence.network:
            continue
        for (deployment, radius), row in strongest(measured(evidence.records, proven)).items():
            proved = proven.row(deployment, radius)
            if proved is not None and row.high < proved.low:
                found.append(
                    f"{deployment} within {row.budget}: {row.attack} leaves {percent(row.rate)} %, but "
                    f"{percent(proved.rate)} % are certified"
                )
        for answers in judged(evidence.records, proven):
            proved = proven.row(answers.deployment, Budget.parse(str(answers.budget)).eps)
            wrong = answers.outcomes.wrong
            if proved is not None and proved.wrong is not None and wrong.low > proved.wrong:
                found.append(
                    f"{answers.deployment} within {answers.budget}: {answers.attack} has {percent(wrong.rate)} % "
                    f"accepted and wrong, but {percent(proved.wrong)} % at most are certified"
                )
    for free in population_rows(evidence.records):
        attacked = free.measured
        if free.bound.network == evidence.network and attacked is not None and attacked.high < free.proved.low:
            found.append(
                f"single within {free.bound.budget}: {attacked.attack} leaves {percent(attacked.rate)} %, but "
                f"{percent(free.proved.low)} % at least follow from the clean rate"
            )
    return found
