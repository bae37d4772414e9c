"""A black-box attack is stronger than the white-box attacks."""

from __future__ import annotations

from variate.flags.evidence import FEWEST, NOTICED, Evidence, judged_on, sees_gradient
from variate.records.rows import label_of
from variate.records.schema import Claim
from variate.registry import flag

LUCK = 0.25  # four standard deviations of a fraction of the 64 draws on which a suite compares its attacks


@flag(
    level="warning",
    trigger=(
        "Random search, a black-box attack or transfer gives a lower accuracy than the best gradient attack on the "
        "same examples and draws, by more than one point and beyond chance (99 %); or, in a suite, one of them breaks "
        "more than one percent of the examples, and at least 8, that no gradient attack broke."
    ),
    explanation=(
        "An attacker who sees less should not achieve more. If one does, the gradient attacks are weaker than they "
        "could be."
    ),
    remedy=(
        "Use the lower accuracy as the verdict, and check for masked gradients: try more steps, restarts, another "
        "loss, and more draws."
    ),
    cite="Athalye et al. 2018, arXiv:1802.00420, section 3.1",
)
def black_box_stronger(evidence: Evidence) -> list[str]:
    """A black-box attack is stronger than the white-box attacks."""
    findings = []
    claims = [c for c in evidence.attacked() if not c.options.get("attacks")]
    gradient = [c for c in claims if evidence.sees_gradient(c)]
    for black_box in (c for c in claims if not evidence.sees_gradient(c)):
        setting = (black_box.budget, black_box.part, judged_on(black_box))
        white_box = [c for c in gradient if (c.budget, c.part, judged_on(c)) == setting]
        best = min(white_box, key=lambda claim: evidence.rate(claim).rate, default=None)
        gap = evidence.difference(best, black_box) if best is not None else None
        if best is not None and gap is not None and gap.noticed:
            rates = (
                f"accuracy {100 * evidence.rate(black_box).rate:.1f} % against {100 * evidence.rate(best).rate:.1f} %"
            )
            findings.append(f"{black_box.attack} is stronger than {best.attack} at {black_box.budget}: {rates}")
    suites = [c for c in evidence.attacked() if c.options.get("attacks")]
    return findings + [line for suite in suites for line in _in_suite(evidence, suite)]


def _in_suite(evidence: Evidence, suite: Claim) -> list[str]:
    """Examples of a suite that a black-box attack broke and no gradient attack did, by the draws of the search."""
    broke: dict[str, int] = {}
    examples = evidence.examples(suite).values()
    attack_of = {
        label_of(one["name"], one.get("source"), one.get("deployment")): one["name"] for one in suite.options["attacks"]
    }
    for example in examples:
        sees = {name: sees_gradient(attack_of.get(name, name)) for name in example.shares}
        best_white_box = min((share for name, share in example.shares.items() if sees[name]), default=0.0)
        for name, share in example.shares.items():
            if sees[name] is False and best_white_box > 0.5 >= share and best_white_box - share > LUCK:
                broke[name] = broke.get(name, 0) + 1
    return [
        f"in {suite.attack} at {suite.budget} {name} breaks {count} of {len(examples)} examples that no gradient attack"
        " broke"
        for name, count in broke.items()
        if count >= FEWEST and count > NOTICED * len(examples)
    ]
