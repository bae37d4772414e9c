"""The attack ended while it still rose."""

from __future__ import annotations

from variate.flags.evidence import Evidence, steps_of
from variate.registry import flag

MOVED, SHARE = 0.05, 0.1  # of the range of the loss; of the examples


@flag(
    level="warning",
    trigger=(
        "On a deterministic network of which an attack of the table leaves more than a tenth right, the best loss of "
        "more than a tenth of these examples moved by more than 5 % of its range in the last ten steps; on any, twice "
        "the steps of pgd leave fewer right answers, by more than a point and more than chance (99 %)."
    ),
    explanation=(
        "The loss still rose in the last steps, or twice the steps find more: the attack ended before it was done."
    ),
    remedy="Give it more steps until doubling them changes nothing.",
    cite="Pintor et al. 2022, arXiv:2106.09947, I4; Carlini et al. 2019, arXiv:1902.06705",
)
def unfinished_attack(evidence: Evidence) -> list[str]:
    """The attack ended while it still rose."""
    found = []
    for claim in evidence.attacked(part="table"):
        if evidence.random:  # the loss of every step is another average, whose best moves by chance alone
            break
        examples = evidence.examples(claim)
        right = evidence.answers(claim)[0]
        left = [examples[number].rising for number, survived in zip(sorted(examples), right, strict=True) if survived]
        known = [rising for rising in left if rising is not None]
        rising = [moved for moved in known if moved > MOVED]
        if known and len(rising) > SHARE * len(known) and right.mean() > SHARE:
            share = f"{len(rising)} of the {len(known)} examples that it did not break"
            found.append(f"the loss of {claim.attack} at {claim.budget} still moved in its last steps on {share}")
    for few in evidence.attacked(attack="pgd"):
        for many in evidence.attacked(attack="pgd", part=few.part):
            twice = steps_of(few) > 0 and steps_of(many) == 2 * steps_of(few)
            gap = evidence.difference(few, many)
            if twice and (few.budget, few.draws) == (many.budget, many.draws) and gap is not None and gap.noticed:
                rates = f"{100 * evidence.rate(few).rate:.1f} % to {100 * evidence.rate(many).rate:.1f} %"
                found.append(f"twice the {steps_of(few)} steps of pgd at {few.budget} lower the accuracy from {rates}")
    return found
