"""The attack ended while its loss was still rising."""

from __future__ import annotations

from variate.flags.evidence import Evidence, steps_of
from variate.registry import flag

MOVED, SHARE = 0.05, 0.1  # fraction of the range of the loss; fraction of the examples


@flag(
    level="warning",
    trigger=(
        "For a deterministic network that an attack of the table leaves with an accuracy above 10 %: the best loss of "
        "more than a tenth of the surviving examples moved by more than 5 % of its range in the last ten steps. For "
        "any network: twice the steps of pgd give a lower accuracy, by more than one point and beyond chance (99 %)."
    ),
    explanation=(
        "The loss was still rising in the last steps, or twice the steps achieve more: the attack ended before it "
        "converged."
    ),
    remedy="Use more steps, until doubling them changes nothing.",
    cite="Pintor et al. 2022, arXiv:2106.09947, I4; Carlini et al. 2019, arXiv:1902.06705",
)
def unfinished_attack(evidence: Evidence) -> list[str]:
    """The attack ended while its loss was still rising."""
    findings = []
    for claim in evidence.attacked(part="table"):
        if evidence.random:  # each step averages other draws, so the best loss moves by chance alone
            break
        examples = evidence.examples(claim)
        right = evidence.answers(claim)[0]
        rises = [
            examples[example].rising for example, survived in zip(sorted(examples), right, strict=True) if survived
        ]
        recorded = [rise for rise in rises if rise is not None]
        rising = [rise for rise in recorded if rise > MOVED]
        if recorded and len(rising) > SHARE * len(recorded) and right.mean() > SHARE:
            share = f"{len(rising)} of the {len(recorded)} examples that it did not break"
            findings.append(f"the loss of {claim.attack} at {claim.budget} still moved in the last steps on {share}")
    for few in evidence.attacked(attack="pgd"):
        for many in evidence.attacked(attack="pgd", part=few.part):
            twice = steps_of(few) > 0 and steps_of(many) == 2 * steps_of(few)
            gap = evidence.difference(few, many)
            if twice and (few.budget, few.draws) == (many.budget, many.draws) and gap is not None and gap.noticed:
                rates = f"{100 * evidence.rate(few).rate:.1f} % to {100 * evidence.rate(many).rate:.1f} %"
                findings.append(
                    f"doubling the {steps_of(few)} steps of pgd at {few.budget} lowers the accuracy from {rates}"
                )
    return findings
