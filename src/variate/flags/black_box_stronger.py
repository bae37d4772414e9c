"""A black-box attack beats the white-box ones."""

from __future__ import annotations

from variate.flags.evidence import FEWEST, NOTICED, Evidence, judged_on, sees_gradient
from variate.records.rows import label_of
from variate.records.schema import Claim
from variate.registry import flag

LUCK = 0.25  # of the draws: four standard deviations of a share over the 64 by which a suite compares its attacks


@flag(
    level="warning",
    trigger=(
        "Random search, a black-box attack or transfer leaves fewer right answers than the best gradient "
        "attack, on the same examples and draws, by more than a point and more than chance (99 %); or, in a suite, one "
        "breaks more than a point of the examples, and at least 8, that no gradient attack broke."
    ),
    explanation=(
        "An attacker who sees less should not find more. If one does, the attacks with gradients are not as "
        "strong as they could be."
    ),
    remedy=(
        "Take the lower rate as the verdict, and look for masked gradients: more steps, restarts, another "
        "loss, more draws."
    ),
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def black_box_stronger(evidence: Evidence) -> list[str]:
    """A black-box attack beats the white-box ones."""
    found = []
    claims = [c for c in evidence.attacked() if not c.options.get("attacks")]
    gradient = [c for c in claims if evidence.sees_gradient(c)]
    for black in (c for c in claims if not evidence.sees_gradient(c)):
        same = (black.budget, black.part, judged_on(black))
        whites = [c for c in gradient if (c.budget, c.part, judged_on(c)) == same]
        best = min(whites, key=lambda claim: evidence.rate(claim).rate, default=None)
        gap = evidence.difference(best, black) if best is not None else None
        if best is not None and gap is not None and gap.noticed:
            rates = f"{100 * evidence.rate(black).rate:.1f} % right against {100 * evidence.rate(best).rate:.1f} %"
            found.append(f"{black.attack} beats {best.attack} at {black.budget}: {rates}")
    suites = [c for c in evidence.attacked() if c.options.get("attacks")]
    return found + [line for suite in suites for line in _in_suite(evidence, suite)]


def _in_suite(evidence: Evidence, suite: Claim) -> list[str]:
    """What black-box attacks of one suite broke although no gradient attack of it did, by the draws of the search."""
    broke: dict[str, int] = {}
    examples = evidence.examples(suite).values()
    attack_of = {label_of(one["name"], one.get("source")): one["name"] for one in suite.options["attacks"]}
    for example in examples:
        sees = {name: sees_gradient(attack_of.get(name, name)) for name in example.shares}
        left = min((share for name, share in example.shares.items() if sees[name]), default=0.0)
        for name, share in example.shares.items():
            if sees[name] is False and left > 0.5 >= share and left - share > LUCK:
                broke[name] = broke.get(name, 0) + 1
    return [
        f"in {suite.attack} at {suite.budget} {name} breaks {count} of {len(examples)} examples that no gradient attack"
        " broke"
        for name, count in broke.items()
        if count >= FEWEST and count > NOTICED * len(examples)
    ]
